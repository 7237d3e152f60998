// Snapshots in plain faiss: the Python wheel reads the files of all kinds of index, and finds what the service finds.
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Metric, NeighborIndexServiceDefinition, type CollectionConfig } from '@kindred/protocol/neighbors';
import { pythonWith } from '@kindred/python-environment';
import { bytesOf, connect, type Connection } from '@kindred/service-runtime';
import { temporaryFolder } from '@kindred/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRandom } from './instants.js';
import { startRestartedService, type RestartedService } from './restarted-service.js';

const root = resolve(import.meta.dirname, '../../..');
const script = join(root, 'tools/acceptance/python/search_snapshot.py');
const folder = temporaryFolder('neighbor-files');
const artifacts = join(folder, 'artifacts');
const dimension = 16;
/** Enough for product quantisation to be trained. */
const count = 12_000;
const queryCount = 50;
const k = 10;
/** Every so many ids are deleted. */
const deletedEvery = 7;

interface Found {
  readonly outer: string;
  readonly inner: string;
  readonly metric: number;
  readonly rows: number;
  readonly ids: readonly (readonly number[])[];
  readonly scores: readonly (readonly number[])[];
}

const python = await interpreter();

async function interpreter(): Promise<string | null> {
  try {
    return await pythonWith({
      purpose: 'bench',
      file: join(root, 'tools/bench/peers/requirements.txt'),
      contents: 'faiss-cpu, beside PyTorch; several GB',
      say: (line) => console.log(line),
    });
  } catch (thrown) {
    console.warn(
      `\n!!! SKIPPED: no Python environment, so no file was read by faiss's wheel: ${(thrown as Error).message}\n`,
    );
    return null;
  }
}

describe.skipIf(python === null)('snapshots in plain faiss', () => {
  let service: RestartedService;
  let connection: Connection<typeof NeighborIndexServiceDefinition>;
  const { below } = createRandom(11);
  // Whole numbers: products and distances are exact in float32.
  const drawn = (rows: number): Float32Array => Float32Array.from({ length: rows * dimension }, () => below(64) - 32);
  const vectors = drawn(count);
  const queries = drawn(queryCount);
  const queryFile = join(folder, 'queries.f32');

  beforeAll(async () => {
    service = await startRestartedService('neighbor-index', {
      KINDRED_ARTIFACT_STORE: artifacts,
      KINDRED_NEIGHBOR_INDEX_DATA: join(folder, 'data'),
    });
    connection = connect(NeighborIndexServiceDefinition, { service: 'neighbor-index', address: service.address });
    writeFileSync(queryFile, queries);
  });
  afterAll(async () => {
    connection.close();
    await service.stop();
  });

  it.each<[string, NonNullable<CollectionConfig['index']>, Metric, string, number]>([
    ['flat', { $case: 'flat', value: {} }, Metric.INNER_PRODUCT, 'IndexFlat', 1],
    ['flat', { $case: 'flat', value: {} }, Metric.L2, 'IndexFlat', 1],
    [
      'hnsw',
      { $case: 'hnsw', value: { m: 0, efConstruction: 0, efSearch: 0 } },
      Metric.INNER_PRODUCT,
      'IndexHNSW',
      0.98,
    ],
    ['hnsw', { $case: 'hnsw', value: { m: 0, efConstruction: 0, efSearch: 0 } }, Metric.L2, 'IndexHNSW', 0.98],
    ['ivf-flat', { $case: 'ivfFlat', value: { lists: 0, probes: 0 } }, Metric.L2, 'IndexIVFFlat', 1],
    [
      'ivf-pq',
      { $case: 'ivfPq', value: { lists: 0, probes: 0, subvectors: 8, refine: 0 } },
      Metric.L2,
      'IndexIVFPQ',
      0.3,
    ],
    ['sq8', { $case: 'sq8', value: { refine: 0 } }, Metric.INNER_PRODUCT, 'IndexScalarQuantizer', 0.9],
  ])('an index of kind %s', async (kind, index, metric, inner, recall) => {
    const { client } = connection;
    const collection = `${kind}-${Metric[metric].toLowerCase().replaceAll('_', '-')}`;
    await client.createCollection({ collection, config: { dimension, metric, index } });
    const ids = BigUint64Array.from({ length: count }, (_, i) => BigInt(i));
    await client.upsert(
      (async function* () {
        yield { collection, ids: bytesOf(ids), vectors: bytesOf(vectors) };
      })(),
    );
    if (kind !== 'flat') {
      await expect
        .poll(async () => (await client.getStats({ collection })).indexedRows, { timeout: 120_000, interval: 200 })
        .toBe(BigInt(count));
    }
    const gone = ids.filter((id) => Number(id) % deletedEvery === 0);
    await client.delete({ collection, ids: bytesOf(gone) });
    const { snapshot } = await client.snapshot({ collection });
    const files = (snapshot?.faissKeys ?? []).map((key) => join(artifacts, key));
    const words = [script, queryFile, `${dimension}`, `${k + Math.ceil(count / deletedEvery)}`, ...files];
    const { stdout } = await promisify(execFile)(python ?? '', words, { maxBuffer: 2 ** 28 });
    const found = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Found);
    expect(found.reduce((sum, { rows }) => sum + rows, 0)).toBe(count);
    for (const one of found) {
      expect(one.outer).toMatch(/^IndexIDMap/);
      expect(one.inner).toContain(inner);
      // faiss's numbers: 0 is the inner product, 1 the squared distance.
      expect(one.metric).toBe(metric === Metric.L2 ? 1 : 0);
    }
    const right = await client.search({ collection, queries: bytesOf(queries), k, options: { exact: true } });
    let hits = 0;
    for (const [query, { neighbors }] of right.results.entries()) {
      const merged = found
        .flatMap(({ ids: all, scores }) => all[query]!.map((id, i) => ({ id, score: scores[query]![i]! })))
        .filter(({ id }) => id !== -1)
        .sort((a, b) => (metric === Metric.L2 ? a.score - b.score : b.score - a.score));
      expect(merged.some(({ id }) => id % deletedEvery === 0)).toBe(false);
      const scores = merged.slice(0, k).map(({ score }) => score);
      if (recall === 1) expect(scores).toEqual(neighbors.map(({ score }) => score));
      const last = neighbors.at(-1)!.score;
      const near = new Set(neighbors.filter(({ score }) => score !== last).map(({ id }) => Number(id)));
      const first = merged.slice(0, k).filter(({ id }) => near.has(id));
      hits += first.length / Math.max(1, near.size);
    }
    expect(hits / queryCount).toBeGreaterThanOrEqual(recall);
  });
});
