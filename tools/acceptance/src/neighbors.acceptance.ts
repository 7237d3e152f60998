// A collection against a plain map: 200,000 random operations, `kill -9` at probability 0.001 in the middle of one, zero differences.
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
  const distinct = (count: number): number[] => [...new Set(Array.from({ length: count }, () => whole(idCount)))];
  /** One write: how it is sent, and what it makes of the model. */
  const drawWrite = () => {
    const ids = distinct(1 + whole(6));
    if (random() < 0.3) {
      const send = () => current.client.delete({ collection, ids: numbers(ids) });
      return { ids, send, apply: (): void => ids.forEach((id) => model.delete(id)) };
    }
    const vectors = Float32Array.from({ length: ids.length * dimension }, () => whole(256) - 128);
    const labels = Int32Array.from(ids, () => whole(5) - 1);
    const send = () =>
      current.client.upsert(
        (async function* () {
          yield { collection, ids: numbers(ids), vectors: bytesOf(vectors), labels: bytesOf(labels) };
        })(),
      );
    const apply = (): void =>
      ids.forEach((id, i) =>
        model.set(id, { vector: vectors.slice(i * dimension, (i + 1) * dimension), label: labels[i]! }),
      );
    return { ids, send, apply };
  };
  const same = (found: { vector: Uint8Array; label: number } | undefined, stored: Stored | undefined): boolean => {
    if (found === undefined || stored === undefined) return found === undefined && stored === undefined;
    return found.label === stored.label && Buffer.compare(found.vector, bytesOf(stored.vector)) === 0;
  };
  const read = async (ids: readonly number[]) => {
    const { points } = await current.client.get({ collection, ids: numbers(ids), includeVectors: true });
    return new Map(points.map((point) => [Number(point.id?.id?.value), point]));
  };
  const compareAll = async (): Promise<void> => {
    const { points, next } = await current.client.scroll({ collection, limit: 10_000, includeVectors: true });
    expect(next).toBeUndefined();
    expect(points.length).toBe(model.size);
    for (const point of points) expect(same(point, model.get(Number(point.id?.id?.value)))).toBe(true);
  };
  const kill = async (): Promise<void> => {
    kills++;
    const { ids, send, apply } = drawWrite();
    const outcome = send().then(
      () => 'stored' as const,
      (thrown: unknown) => thrown,
    );
    await new Promise((resolve) => setTimeout(resolve, whole(4)));
    await service.kill();
    const told = await outcome;
    await service.ready();
    current.close();
    current = connection();
    const before = new Map(ids.map((id) => [id, model.get(id)]));
    const found = await read(ids);
    const old = ids.every((id) => same(found.get(id), before.get(id)));
    apply();
    const fresh = ids.every((id) => same(found.get(id), model.get(id)));
    // Acknowledged: it is there. Not acknowledged: all of it or nothing.
    expect(fresh || (told !== 'stored' && old)).toBe(true);
    if (!fresh)
      for (const [id, stored] of before)
        if (stored === undefined) model.delete(id);
        else model.set(id, stored);
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

  for (let operation = 0; operation < operations; operation++) {
    if (random() < killProbability) await kill();
    const kind = random();
    try {
      if (kind < 0.6) {
        const { send, apply } = drawWrite();
        const { size } = await send();
        apply();
        expect(size).toBe(BigInt(model.size));
      } else if (kind < 0.85) {
        const ids = distinct(5);
        const found = await read(ids);
        for (const id of ids) expect(same(found.get(id), model.get(id))).toBe(true);
      } else if (kind < 0.95) await search();
      else expect((await current.client.count({ collection })).count).toBe(BigInt(model.size));
    } catch (thrown) {
      throw isKindredError(thrown) ? new Error(`operation ${operation}: ${thrown.message}`, { cause: thrown }) : thrown;
    }
    if (operation % 20_000 === 19_999) {
      const { segments, indexedRows } = await current.client.getStats({ collection });
      process.stdout.write(
        `${operation + 1} operations, ${kills} kills, ${model.size} points, ${segments.length} parts, ${indexedRows} rows indexed\n`,
      );
    }
  }
  await compareAll();
  current.close();
});
