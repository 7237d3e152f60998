// A collection against a plain map: 200,000 random operations, up to eight at a time, `kill -9` at probability 0.001 in the middle of them, zero differences.
import { join } from 'node:path';
import { isKindredError } from '@kindred/errors';
import { NeighborIndexServiceDefinition } from '@kindred/protocol/neighbors';
import { bytesOf, connect } from '@kindred/service-runtime';
import { temporaryFolder } from '@kindred/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRandom } from './instants.js';
import { startRestartedService, type RestartedService } from './restarted-service.js';

const operations = Number(process.env['KINDRED_ACCEPTANCE_OPERATIONS'] ?? 200_000);
const killProbability = 0.001;
const dimension = 8;
const idCount = 4_000;
/** Operations beside each other, each on points of its own; searches and counts, which look at all, come between them. */
const lanes = 8;
const collection = 'model';

let service: RestartedService;
const folder = temporaryFolder('neighbors-acceptance');
beforeAll(async () => {
  service = await startRestartedService('neighbor-index', {
    KINDRED_ARTIFACT_STORE: join(folder, 'artifacts'),
    KINDRED_NEIGHBOR_INDEX_DATA: join(folder, 'data'),
    // Small enough that parts are written, merged and indexed all the time.
    KINDRED_NEIGHBOR_INDEX_GROWING_ROWS: '700',
  });
});
afterAll(() => service.stop());

interface Stored {
  readonly vector: Float32Array;
  readonly label: number;
}

/** What is sent, and what it makes of points; of no points where it reads. */
interface Operation {
  readonly ids: readonly number[];
  readonly send: () => Promise<unknown>;
  readonly after: ReadonlyMap<number, Stored | undefined>;
}

it(`agrees with a map over ${operations} operations`, { timeout: 60 * 60_000 }, async () => {
  const { fraction: random, below: whole } = createRandom(7);
  const connection = () =>
    connect(NeighborIndexServiceDefinition, { service: 'neighbor-index', address: service.address });
  let current = connection();
  const model = new Map<number, Stored>();
  let kills = 0;
  await current.client.createCollection({
    collection,
    config: { dimension, index: { $case: 'hnsw', value: { m: 8, efConstruction: 40 } } },
  });

  const numbers = (ids: readonly number[]): Uint8Array => bytesOf(BigUint64Array.from(ids, BigInt));
  /** Ids that no other operation of a window has. */
  const distinct = (count: number, lane: number): number[] => [
    ...new Set(Array.from({ length: count }, () => lane + lanes * whole(idCount / lanes))),
  ];
  const same = (found: { vector: Uint8Array; label: number } | undefined, stored: Stored | undefined): boolean => {
    if (found === undefined || stored === undefined) return found === undefined && stored === undefined;
    return found.label === stored.label && Buffer.compare(found.vector, bytesOf(stored.vector)) === 0;
  };
  const read = async (ids: readonly number[]) => {
    const { points } = await current.client.get({ collection, ids: numbers(ids), includeVectors: true });
    return new Map(points.map((point) => [Number(point.id?.id?.value), point]));
  };
  /** One write: how it is sent, and what it makes of the points that it names. */
  const drawWrite = (lane: number): Operation => {
    const ids = distinct(1 + whole(6), lane);
    if (random() < 0.3) {
      const send = () => current.client.delete({ collection, ids: numbers(ids) });
      return { ids, send, after: new Map(ids.map((id) => [id, undefined])) };
    }
    const vectors = Float32Array.from({ length: ids.length * dimension }, () => whole(256) - 128);
    const labels = Int32Array.from(ids, () => whole(5) - 1);
    const send = () =>
      current.client.upsert(
        (async function* () {
          yield { collection, ids: numbers(ids), vectors: bytesOf(vectors), labels: bytesOf(labels) };
        })(),
      );
    const stored = (i: number): Stored => ({
      vector: vectors.slice(i * dimension, (i + 1) * dimension),
      label: labels[i]!,
    });
    return { ids, send, after: new Map(ids.map((id, i) => [id, stored(i)])) };
  };
  const drawRead = (lane: number): Operation => {
    const ids = distinct(5, lane);
    const send = async (): Promise<void> => {
      const found = await read(ids);
      for (const id of ids) expect(same(found.get(id), model.get(id)), `point ${id}`).toBe(true);
    };
    return { ids, send, after: new Map() };
  };
  const apply = ({ after }: Operation): void => {
    for (const [id, stored] of after)
      if (stored === undefined) model.delete(id);
      else model.set(id, stored);
  };
  const compareAll = async (): Promise<void> => {
    const { points, next } = await current.client.scroll({ collection, limit: 10_000, includeVectors: true });
    expect(next).toBeUndefined();
    expect(points.length).toBe(model.size);
    for (const point of points) expect(same(point, model.get(Number(point.id?.id?.value)))).toBe(true);
  };
  /** Operations beside each other, no two on the same points. */
  const run = async (window: readonly Operation[]): Promise<void> => {
    await Promise.all(
      window.map(async (one) => {
        await one.send();
        apply(one);
      }),
    );
  };
  /** The same, and the process is killed while they are under way. */
  const runAndKill = async (window: readonly Operation[]): Promise<void> => {
    kills++;
    const outcomes = window.map(({ send }) =>
      send().then(
        () => null,
        (thrown: unknown) => thrown,
      ),
    );
    await new Promise((resolve) => setTimeout(resolve, whole(4)));
    await service.kill();
    const told = await Promise.all(outcomes);
    await service.ready();
    current.close();
    current = connection();
    for (const [i, one] of window.entries()) {
      // What is not an answer of the service's that never came is a difference.
      if (told[i] !== null && !isKindredError(told[i])) throw told[i];
      if (one.after.size === 0) continue;
      const found = await read(one.ids);
      const old = one.ids.every((id) => same(found.get(id), model.get(id)));
      const fresh = one.ids.every((id) => same(found.get(id), one.after.get(id)));
      // Acknowledged: it is there. Not acknowledged: all of it or nothing.
      expect(fresh || (told[i] !== null && old)).toBe(true);
      if (fresh) apply(one);
    }
    await compareAll();
  };
  const search = async (): Promise<void> => {
    const query = Float32Array.from({ length: dimension }, () => whole(256) - 128);
    const exact = random() < 0.5;
    const { results } = await current.client.search({ collection, queries: bytesOf(query), k: 5, options: { exact } });
    const found = results[0]?.neighbors ?? [];
    for (const { id, score, label } of found) {
      const stored = model.get(Number(id));
      expect(stored?.label).toBe(label);
      expect(stored?.vector.reduce((sum, value, i) => sum + value * query[i]!, 0)).toBe(score);
    }
    if (!exact) return void expect(found.length).toBe(Math.min(5, model.size));
    const scores = [...model.values()].map(({ vector }) =>
      vector.reduce((sum, value, i) => sum + value * query[i]!, 0),
    );
    expect(found.map(({ score }) => score)).toEqual(scores.sort((a, b) => b - a).slice(0, 5));
  };
  const count = async (): Promise<void> => {
    expect((await current.client.count({ collection })).count).toBe(BigInt(model.size));
  };

  let told = 0;
  for (let operation = 0; operation < operations;) {
    const window: Operation[] = [];
    let killing = false;
    /** Looks at all points: nothing else is under way meanwhile. */
    let alone: (() => Promise<void>) | null = null;
    while (window.length < lanes && alone === null && !killing && operation < operations) {
      operation++;
      killing = random() < killProbability;
      const kind = killing ? 0 : random();
      if (kind < 0.6) window.push(drawWrite(window.length));
      else if (kind < 0.85) window.push(drawRead(window.length));
      else alone = kind < 0.95 ? search : count;
    }
    try {
      await (killing ? runAndKill(window) : run(window));
      await alone?.();
    } catch (thrown) {
      throw isKindredError(thrown) ? new Error(`operation ${operation}: ${thrown.message}`, { cause: thrown }) : thrown;
    }
    if (operation < told + 20_000) continue;
    told += 20_000;
    const { segments, indexedRows } = await current.client.getStats({ collection });
    process.stdout.write(
      `${operation} operations, ${kills} kills, ${model.size} points, ${segments.length} parts, ${indexedRows} rows indexed\n`,
    );
  }
  await compareAll();
  current.close();
});
