import { createFolderStore } from '@kindred/artifact-store';
import { createFaissEngine } from '@kindred/faiss-native';
import { readManifest, verifyStore } from '@kindred/lineage';
import { exactTopK, weightedKnn } from '@kindred/memory-bank';
import { MiningState, NeighborIndexServiceDefinition, type UpsertRequest } from '@kindred/protocol/neighbors';
import { bytesOf, connect, createLogger, startService } from '@kindred/service-runtime';
import { goldenFolder, readGoldenJson, readGoldenNpy, temporaryFolder } from '@kindred/testing';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Limits } from './config.js';
import { createHandlers } from './handlers.js';
import { createIndexes } from './indexes.js';
import { createMining } from './mining.js';

type Part = Partial<UpsertRequest>;
type Client = Awaited<ReturnType<typeof start>>['client'];

const limits: Limits = { maxVectors: 20_000, maxUpsertBytes: 16 * 1024 * 1024, maxMiningJobs: 4 };
const folder = temporaryFolder('neighbor-index');

async function start() {
  const logger = createLogger('neighbor-index', 'silent');
  const store = await createFolderStore(folder);
  const engine = createFaissEngine();
  const indexes = createIndexes({ store, engine, limits, logger });
  const mining = createMining({ store, engine, maxRunning: 4 });
  const ready = indexes.load();
  const service = await startService({
    name: 'neighbor-index',
    network: { host: '127.0.0.1', port: 0, metricsPort: 0, drainMs: 2000, maxConnectionAgeMs: 0 },
    logger,
    ready,
    register: (services) => services.add(NeighborIndexServiceDefinition, createHandlers({ indexes, mining, limits })),
    onDrain: () => mining.close(),
    onClose: () => engine.close(),
  });
  await ready;
  const connection = connect(NeighborIndexServiceDefinition, { service: 'neighbor-index', address: service.address });
  const close = async () => {
    connection.close();
    await service.close();
  };
  return { ...connection, close };
}

function randomVectors(count: number, dimension: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count * dimension }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 24) - 128;
  });
}

function part(indexId: string, ids: number[], vectors: Float32Array, labels?: Int32Array): Part {
  return {
    indexId,
    ids: bytesOf(BigUint64Array.from(ids, BigInt)),
    vectors: bytesOf(vectors),
    labels: labels === undefined ? new Uint8Array() : bytesOf(labels),
  };
}

async function* stream(...parts: Part[]): AsyncGenerator<Part> {
  yield* parts;
}

const range = (count: number, first = 0): number[] => Array.from({ length: count }, (_, i) => first + i);

describe('neighbor-index', () => {
  let server: Awaited<ReturnType<typeof start>>;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server.close());

  it('creates, describes, lists and deletes', async () => {
    const { client } = server;
    const request = { indexId: 'crud', dimension: 3, description: 'a test' };
    const { index } = await client.createIndex(request);
    expect(index).toMatchObject({ ...request, size: 0n, createTime: expect.any(Date) });
    expect((await client.createIndex(request)).index).toEqual(index);
    await expect(client.createIndex({ ...request, dimension: 4 })).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    expect((await client.listIndexes({})).indexes.map(({ indexId }) => indexId)).toContain('crud');
    await client.deleteIndex({ indexId: 'crud' });
    await client.deleteIndex({ indexId: 'crud' });
    await expect(client.getIndex({ indexId: 'crud' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      resource: { type: 'index', name: 'crud' },
    });
  });

  it('stores, replaces, searches as brute force does and classifies as the memory bank does', async () => {
    const { client } = server;
    const [indexId, dimension, count, k] = ['big', 32, 5000, 20];
    await client.createIndex({ indexId, dimension });
    const vectors = randomVectors(count, dimension, 1);
    const labels = Int32Array.from({ length: count }, (_, i) => i % 7);
    const half = count / 2;
    const old = randomVectors(100, dimension, 9);
    await client.upsert(stream(part(indexId, range(100, half), old)));
    const stored = await client.upsert(
      stream(
        part(indexId, range(half), vectors.slice(0, half * dimension), labels.slice(0, half)),
        part('', range(half, half), vectors.slice(half * dimension), labels.slice(half)),
      ),
    );
    expect(stored).toMatchObject({ upserted: BigInt(count), size: BigInt(count) });

    const queries = randomVectors(50, dimension, 2);
    const { results } = await client.search({ indexId, queries: bytesOf(queries), k });
    const expected = exactTopK({ queries, dimension, k }, vectors);
    expect(results.flatMap(({ neighbors }) => neighbors.map(({ score }) => score))).toEqual([...expected.scores]);
    for (const [query, { neighbors }] of results.entries()) {
      for (const { id, score, label } of neighbors) {
        const own = vectors.subarray(Number(id) * dimension, (Number(id) + 1) * dimension);
        expect(own.reduce((sum, value, i) => sum + value * queries[query * dimension + i]!, 0)).toBe(score);
        expect(label).toBe(labels[Number(id)]);
      }
    }
    const one = await client.search({ indexId, query: [...queries.subarray(0, dimension)], k });
    expect(one.results[0]?.neighbors.map(({ score }) => score)).toEqual([...expected.scores.subarray(0, k)]);

    const temperature = 5000;
    const knn = weightedKnn({ bank: vectors, labels, queries, k, temperature, classes: 7 });
    const classified = await client.classify({ indexId, queries: bytesOf(queries), k, temperature });
    expect(classified.results.map(({ label }) => label)).toEqual([...knn.predictions]);
    const best = classified.results[0]?.votes[0];
    expect(best?.share).toBeCloseTo(knn.shares[best?.label ?? 0] ?? 0, 5);
  });

  it('answers others while a search runs', async () => {
    const { client } = server;
    const queries = bytesOf(randomVectors(4096, 32, 3));
    let running = true;
    const search = client.search({ indexId: 'big', queries, k: 1 }).finally(() => (running = false));
    let answers = 0;
    for (; running; answers++) await client.listIndexes({});
    await search;
    expect(answers).toBeGreaterThan(3);
  });

  it('mines the reference’s files, byte for byte, whatever the order of arrival', async () => {
    const { client } = server;
    const golden = readGoldenJson<{ mine_accuracy: Record<string, number> }>('knn');
    const { data, shape } = readGoldenNpy<Float32Array>('knn-bank');
    const labels = Int32Array.from(readGoldenNpy<BigInt64Array>('knn-bank-targets').data, Number);
    const [rows = 0, dimension = 0] = shape;
    await client.createIndex({ indexId: 'golden', dimension });
    const half = Math.floor(rows / 2);
    await client.upsert(
      stream(part('golden', range(rows - half, half), data.slice(half * dimension), labels.slice(half))),
    );
    await client.upsert(stream(part('golden', range(half), data.slice(0, half * dimension), labels.slice(0, half))));
    for (const [k, accuracy] of Object.entries(golden.mine_accuracy)) {
      const { job } = await client.startMining({ indexId: 'golden', k: Number(k) });
      let last;
      for await (const event of client.watchMining({ jobId: job?.jobId })) last = event.job;
      expect(last).toMatchObject({
        state: MiningState.SUCCEEDED,
        key: `indexes/golden/topk-${k}.npy`,
        completed: BigInt(rows),
      });
      expect(last?.accuracy).toBeCloseTo(accuracy, 10);
      expect(readFileSync(join(folder, last?.key ?? ''))).toEqual(
        readFileSync(join(goldenFolder(), `mine-top${k}.npy`)),
      );
      expect((await client.getMining({ jobId: job?.jobId })).job).toEqual(last);
      expect((await client.cancelMining({ jobId: job?.jobId })).job?.state).toBe(MiningState.SUCCEEDED);
    }
    const store = await createFolderStore(folder);
    const manifest = await readManifest(store, 'index', 'golden');
    expect(manifest?.files.map(({ key }) => key).sort()).toEqual(
      Object.keys(golden.mine_accuracy)
        .map((k) => `indexes/golden/topk-${k}.npy`)
        .sort(),
    );
    expect((await verifyStore(store)).faults).toEqual([]);
  });

  it.each(['runs/a/topk-train-neighbors.npy', 'features/a/b/topk-3.npy', 'indexes/keys/topk-best.npy'])(
    'mines to %s',
    async (key) => {
      const { client } = server;
      await client.createIndex({ indexId: 'keys', dimension: 1 });
      await client.upsert(stream(part('keys', [0, 1], Float32Array.of(1, 2))));
      const { job } = await client.startMining({ indexId: 'keys', k: 1, key });
      let last;
      for await (const event of client.watchMining({ jobId: job?.jobId })) last = event.job;
      expect(last).toMatchObject({ state: MiningState.SUCCEEDED, key, accuracy: undefined });
    },
  );

  it('ranks vectors of the largest norm that is allowed', async () => {
    const { client } = server;
    await client.createIndex({ indexId: 'long', dimension: 2 });
    await client.upsert(stream(part('long', [0, 1], Float32Array.of(1e18, 0, -1e18, 0), Int32Array.of(5, 6))));
    const { results } = await client.search({ indexId: 'long', query: [-1e18, 0], k: 2 });
    expect(results[0]?.neighbors.map(({ id }) => id)).toEqual([1n, 0n]);
    expect(results[0]?.neighbors[0]?.score).toBeCloseTo(1e36, -31);
    const { results: classes } = await client.classify({ indexId: 'long', queries: vector(-1e18, 0), k: 2 });
    expect(classes[0]?.votes).toEqual([
      { label: 6, share: 1 },
      { label: 5, share: 0 },
    ]);
  });

  it('keeps nothing of a stream that is refused or breaks', async () => {
    const { client } = server;
    await client.createIndex({ indexId: 'whole', dimension: 2 });
    const good = part('whole', [1, 2], Float32Array.of(1, 2, 3, 4));
    await expect(client.upsert(stream(good, part('', [2], Float32Array.of(1, 2))))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    async function* breaking() {
      yield good;
      await new Promise((resolve) => setTimeout(resolve, 50));
      throw new Error('the caller dies');
    }
    await expect(client.upsert(breaking())).rejects.toThrow();
    expect((await client.getIndex({ indexId: 'whole' })).index?.size).toBe(0n);
  });

  const vector = (...values: number[]) => bytesOf(Float32Array.from(values));
  it.each<[string, string, (client: Client) => Promise<unknown>]>([
    ['an id in capitals', 'INVALID_ARGUMENT', (c) => c.createIndex({ indexId: 'Big', dimension: 2 })],
    ['dimension 0', 'INVALID_ARGUMENT', (c) => c.createIndex({ indexId: 'x', dimension: 0 })],
    ['dimension 65537', 'INVALID_ARGUMENT', (c) => c.createIndex({ indexId: 'x', dimension: 65537 })],
    ['search in no index', 'NOT_FOUND', (c) => c.search({ indexId: 'no', queries: vector(1), k: 1 })],
    ['upsert to no index', 'NOT_FOUND', (c) => c.upsert(stream(part('no', [1], Float32Array.of(1))))],
    ['an empty stream', 'INVALID_ARGUMENT', (c) => c.upsert(stream())],
    ['a wrong length', 'INVALID_ARGUMENT', (c) => c.upsert(stream(part('bad', [1], Float32Array.of(1))))],
    ['NaN', 'INVALID_ARGUMENT', (c) => c.upsert(stream(part('bad', [1], Float32Array.of(1, NaN))))],
    ['infinity', 'INVALID_ARGUMENT', (c) => c.upsert(stream(part('bad', [1], Float32Array.of(1, Infinity))))],
    [
      'a vector so long that products overflow',
      'INVALID_ARGUMENT',
      (c) => c.upsert(stream(part('bad', [1], Float32Array.of(3e38, 0)))),
    ],
    ['a query as long', 'INVALID_ARGUMENT', (c) => c.search({ indexId: 'bad', query: [1e18, 1e18], k: 1 })],
    ['an id twice', 'INVALID_ARGUMENT', (c) => c.upsert(stream(part('bad', [1, 1], Float32Array.of(1, 2, 3, 4))))],
    [
      'a label of -2',
      'INVALID_ARGUMENT',
      (c) => c.upsert(stream(part('bad', [1], Float32Array.of(1, 2), Int32Array.of(-2)))),
    ],
    ['cut bytes', 'INVALID_ARGUMENT', (c) => c.upsert(stream({ indexId: 'bad', ids: new Uint8Array(7) }))],
    [
      'another index in mid-stream',
      'INVALID_ARGUMENT',
      (c) => c.upsert(stream(part('bad', [1], Float32Array.of(1, 2)), { indexId: 'big' })),
    ],
    [
      'too many vectors',
      'RESOURCE_EXHAUSTED',
      (c) => c.upsert(stream(part('bad', range(20_000), new Float32Array(40_000)))),
    ],
    ['k = 0', 'INVALID_ARGUMENT', (c) => c.search({ indexId: 'bad', queries: vector(1, 2), k: 0 })],
    ['k = 2049', 'INVALID_ARGUMENT', (c) => c.search({ indexId: 'bad', queries: vector(1, 2), k: 2049 })],
    ['4097 queries', 'INVALID_ARGUMENT', (c) => c.search({ indexId: 'bad', queries: new Uint8Array(4097 * 8), k: 1 })],
    ['a query of another length', 'INVALID_ARGUMENT', (c) => c.search({ indexId: 'bad', query: [1], k: 1 })],
    ['a NaN query', 'INVALID_ARGUMENT', (c) => c.search({ indexId: 'bad', query: [1, NaN], k: 1 })],
    ['no query', 'INVALID_ARGUMENT', (c) => c.search({ indexId: 'bad', k: 1 })],
    [
      'both query forms',
      'INVALID_ARGUMENT',
      (c) => c.search({ indexId: 'bad', query: [1, 2], queries: vector(1, 2), k: 1 }),
    ],
    [
      'an answer that is too large',
      'RESOURCE_EXHAUSTED',
      (c) => c.search({ indexId: 'big', queries: new Uint8Array(4096 * 128), k: 2048 }),
    ],
    ['classifying without labels', 'FAILED_PRECONDITION', (c) => c.classify({ indexId: 'bad', queries: vector(1, 2) })],
    [
      'a temperature below 0',
      'INVALID_ARGUMENT',
      (c) => c.classify({ indexId: 'bad', queries: vector(1, 2), temperature: -1 }),
    ],
    ['mining no index', 'NOT_FOUND', (c) => c.startMining({ indexId: 'no', k: 1 })],
    ['mining with k = 0', 'INVALID_ARGUMENT', (c) => c.startMining({ indexId: 'big', k: 0 })],
    ['mining with k = n', 'INVALID_ARGUMENT', (c) => c.startMining({ indexId: 'bad', k: 1 })],
    ['a key outside the store', 'INVALID_ARGUMENT', (c) => c.startMining({ indexId: 'big', k: 1, key: '../x' })],
    ...[
      'indexes/big/index.json',
      'indexes/big/segments/topk-1.npy',
      'indexes/golden/topk-1.npy',
      'runs/a/model.safetensors',
      'runs/a/checkpoints/topk-1.npy',
      'runs/topk-1.npy',
      'topk-1.npy',
      'features/a/drawn-train-features.npy',
    ].map((key): [string, string, (c: Client) => Promise<unknown>] => [
      `to write ${key}`,
      'INVALID_ARGUMENT',
      (c) => c.startMining({ indexId: 'big', k: 1, key }),
    ]),
    ['no job', 'NOT_FOUND', (c) => c.getMining({ jobId: 'no' })],
    ['cancelling no job', 'NOT_FOUND', (c) => c.cancelMining({ jobId: 'no' })],
  ])('refuses %s with %s', async (_name, code, call) => {
    await server.client.createIndex({ indexId: 'bad', dimension: 2 });
    await expect(call(server.client)).rejects.toMatchObject({ code });
  });

  it('is as it was after a restart, and names a damaged segment', async () => {
    await server.client.createIndex({ indexId: 'many', dimension: 2 });
    for (const id of range(66)) {
      await server.client.upsert(stream(part('many', [id % 60, 1000 + id], Float32Array.of(id, 1, 1, id))));
    }
    const segments = readdirSync(join(folder, 'indexes/many/segments'));
    expect(segments.length).toBeLessThanOrEqual(64);
    const queries = { queries: bytesOf(randomVectors(9, 32, 4)), k: 30 };
    const ask = async () => [
      await server.client.listIndexes({}),
      await server.client.search({ indexId: 'big', ...queries }),
      await server.client.search({ indexId: 'many', query: [1, 2], k: 200 }),
    ];
    const before = await ask();
    await server.close();
    server = await start();
    expect(await ask()).toEqual(before);

    await server.close();
    const file = join(folder, 'indexes/many/segments', segments[0] ?? '');
    const bytes = readFileSync(file);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(file, bytes);
    server = await start();
    await expect(server.client.getIndex({ indexId: 'many' })).rejects.toMatchObject({
      code: 'DATA_LOSS',
      resource: { name: expect.stringContaining(segments[0] ?? '') },
    });
    expect((await server.client.getIndex({ indexId: 'big' })).index?.size).toBe(5000n);
    await server.client.deleteIndex({ indexId: 'many' });
  });
});
