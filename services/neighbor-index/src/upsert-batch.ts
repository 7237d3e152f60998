// The points of one Upsert stream, checked part by part and held until the stream has ended.
import { KindredError, invalidField } from '@kindred/errors';
import type { UpsertRequest } from '@kindred/protocol/neighbors';
import { float32Of, int32Of, uint64Of } from '@kindred/service-runtime';
import type { PointId, Points } from './engine/points.js';
import type { Quotas } from './engine/quotas.js';
import type { CollectionSpec } from './engine/spec.js';
import { piecesOf } from './storage/log-record.js';
import { checkText } from './filter.js';
import type { Limits } from './limits.js';
import { checkedPayload } from './payload.js';
import { checkedVectors } from './vectors.js';

/** Bytes of an id in the set of those that were seen, about. */
const seenBytes = 48;

/** Points in the making. */
export interface UpsertBatch {
  /** Takes a part; INVALID_ARGUMENT, with the field, for lengths that do not fit, values out of range, an id twice. */
  add(request: UpsertRequest): void;
  /** All parts. */
  readonly parts: readonly Points[];
  /** Gives the batch's memory back. */
  release(): void;
}

/** Makes an empty batch. `hold`: asked for its memory as it grows. */
export function createUpsertBatch(
  { dimension, metric }: CollectionSpec,
  limits: Limits,
  hold: Quotas['hold'],
): UpsertBatch {
  const memory = hold(0, 'an Upsert stream');
  const parts: Points[] = [];
  const seen = new Set<PointId>();
  let bytes = 0;

  return {
    parts,
    release: () => memory.release(),
    add(request) {
      const { texts, payloads } = request;
      const numbers = uint64Of(request.ids, 'ids');
      if (numbers.length > 0 && texts.length > 0)
        throw invalidField('texts', 'got both ids and texts; allowed: one of them in a message');
      const count = numbers.length + texts.length;
      const given = float32Of(request.vectors, 'vectors');
      if (given.length !== count * dimension) {
        throw invalidField(
          'vectors',
          `got ${given.length} numbers for ${count} ids; allowed: ${count * dimension}, which is ${dimension} a vector`,
        );
      }
      const vectors = checkedVectors('vectors', given, dimension, metric);
      const labels = labelsOf(int32Of(request.labels, 'labels'), count);
      if (payloads.length !== 0 && payloads.length !== count) {
        throw invalidField('payloads', `got ${payloads.length} for ${count} ids; allowed: none or ${count}`);
      }
      payloads.forEach((payload, i) => checkedPayload(payload, `payloads[${i}]`));
      texts.forEach((text, i) => checkText(text, `texts[${i}]`));
      for (const id of numbers.length > 0 ? numbers : texts) {
        if (seen.has(id))
          throw invalidField(
            typeof id === 'bigint' ? 'ids' : 'texts',
            `got ${id} twice in one stream; allowed: each id once`,
          );
        seen.add(id);
      }
      /** As the log has it: vector, label, id, payload. */
      const rowBytes = (row: number): number =>
        4 * dimension +
        8 +
        (numbers.length > 0 ? 8 : 4 + Buffer.byteLength(texts[row]!)) +
        Buffer.byteLength(payloads[row] ?? '');
      for (let row = 0; row < count; row++) bytes += rowBytes(row);
      if (bytes > limits.maxUpsertBytes) {
        throw new KindredError(
          'RESOURCE_EXHAUSTED',
          `got ${bytes} bytes in one stream; allowed: ${limits.maxUpsertBytes} (KINDRED_NEIGHBOR_INDEX_MAX_UPSERT_MIB); send several streams`,
        );
      }
      memory.resize(bytes + seenBytes * seen.size);
      // A part is one record of the log.
      for (const [start, end] of piecesOf(count, rowBytes)) {
        parts.push({
          ids: numbers.length > 0 ? numbers.subarray(start, end) : texts.slice(start, end),
          vectors: vectors.subarray(start * dimension, end * dimension),
          labels: labels.subarray(start, end),
          payloads: payloads.slice(start, end),
        });
      }
    },
  };
}

function labelsOf(labels: Int32Array, count: number): Int32Array {
  if (labels.length === 0) return new Int32Array(count).fill(-1);
  if (labels.length !== count)
    throw invalidField('labels', `got ${labels.length} for ${count} ids; allowed: none or ${count}`);
  const wrong = labels.findIndex((label) => label < -1);
  if (wrong !== -1) throw invalidField('labels', `got ${labels[wrong]}; allowed: -1 (unlabelled) or more`);
  return labels;
}
