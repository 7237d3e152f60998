// Points as objects of Weaviate and back.
import { invalidField } from '@kindred/errors';
import type { StoredObject, WeaviateObject } from '@kindred/weaviate';
import type { Included, PointId, PointRecord, Points } from '../engine/points.js';
import { properties } from './class-schema.js';
import { factsOf, maxFacts } from './facts.js';
import { idOfOrder, numberOfUuid, orderOf, uuidOf } from './object-ids.js';
import { factsProperty } from './where.js';

/** Bytes of objects in one call, at most, beside a single larger one. */
const callBytes = 8 * 1024 * 1024;
const callObjects = 1_000;

/** INVALID_ARGUMENT for a payload of too many fields; those too short to have them are not looked at. */
export function checkPayloads(parts: readonly Points[]): void {
  for (const { ids, labels, payloads } of parts) {
    payloads.forEach((payload, row) => {
      // A digit and a comma make 16 words, and nothing makes more of so few bytes.
      if (payload.length * 8 > maxFacts) wordsOf(ids[row]!, labels[row]!, payload);
    });
  }
}

/** Points as objects, in pieces for one call each; payloads are checked already. */
export function* objectsOf(parts: readonly Points[], dimension: number): Generator<WeaviateObject[]> {
  let piece: WeaviateObject[] = [];
  let bytes = 0;
  for (const { ids, vectors, labels, payloads } of parts) {
    for (let row = 0; row < ids.length; row++) {
      const payload = payloads[row] ?? '';
      piece.push(objectOf(ids[row]!, vectors.subarray(row * dimension, (row + 1) * dimension), labels[row]!, payload));
      bytes += 4 * dimension + 4 * payload.length + 200;
      if (bytes < callBytes && piece.length < callObjects) continue;
      yield piece;
      piece = [];
      bytes = 0;
    }
  }
  if (piece.length > 0) yield piece;
}

/** Properties that have to be read for what is asked for. */
export function neededProperties({ payloads }: Pick<Included, 'payloads'>): string[] {
  return [properties.order, properties.label, ...(payloads ? [properties.payload] : [])];
}

/** The id of an object. */
export function idOf({ uuid, properties: { order } }: StoredObject): PointId {
  return numberOfUuid(uuid) ?? idOfOrder(String(order));
}

/** The label of an object; -1: none. */
export function labelOf({ properties: { label } }: StoredObject): number {
  return typeof label === 'number' ? label : -1;
}

/** The payload of an object; '': none, or not read. */
export function payloadOf({ properties: { payload } }: StoredObject): string {
  return typeof payload === 'string' ? payload : '';
}

/** An object as a point. */
export function recordOf(object: StoredObject, include: Included): PointRecord {
  return {
    id: idOf(object),
    label: labelOf(object),
    vector: include.vectors ? object.vector : null,
    payload: include.payloads ? payloadOf(object) : '',
  };
}

function objectOf(id: PointId, vector: Float32Array, label: number, payload: string): WeaviateObject {
  return {
    uuid: uuidOf(id),
    vector,
    properties: {
      [properties.order]: orderOf(id),
      [factsProperty]: wordsOf(id, label, payload),
      ...(label < 0 ? {} : { [properties.label]: label }),
      ...(payload === '' ? {} : { [properties.payload]: payload }),
    },
  };
}

function wordsOf(id: PointId, label: number, payload: string): string[] {
  const facts = factsOf(label, payload === '' ? null : JSON.parse(payload));
  if (facts !== null) return facts;
  throw invalidField(
    'payloads',
    `the payload of ${id} has more than ${maxFacts} entries for filters (a number makes 16, a text 1); allowed with ENGINE_WEAVIATE: ${maxFacts}`,
  );
}
