import { createFolderStore } from '@kindred/artifact-store';
import { readManifest, verifyStore } from '@kindred/lineage';
import { exactTopK, weightedKnn } from '@kindred/memory-bank';
import { CollectionState, Durability, Engine, Metric, MiningState } from '@kindred/protocol/neighbors';
import { bytesOf } from '@kindred/service-runtime';
import { goldenFolder, readGoldenJson, readGoldenNpy, temporaryFolder } from '@kindred/testing';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { part, range, startNeighborIndex, stream, wholeVectors } from './spec/start-neighbor-index.js';

type Client = Awaited<ReturnType<typeof startNeighborIndex>>['client'];

const folder = temporaryFolder('neighbor-index');

describe('neighbor-index', () => {
  let server: Awaited<ReturnType<typeof startNeighborIndex>>;
  beforeAll(async () => {
    server = await startNeighborIndex(folder);
  });
  afterAll(() => server.close());

  it('creates, describes, lists and deletes', async () => {
    const { client } = server;
    const request = { collection: 'crud', config: { dimension: 3, description: 'a test', metric: Metric.L2 } };
    const { collection } = await client.createCollection(request);
    expect(collection).toMatchObject({ collection: 'crud', size: 0n, state: CollectionState.READY });
    expect(collection?.config).toMatchObject({
      ...request.config,
      index: { $case: 'flat', value: {} },
      durability: Durability.SYNCED,
      engine: Engine.EMBEDDED,
    });
    expect((await client.createCollection(request)).collection).toEqual(collection);
    await expect(client.createCollection({ ...request, config: { dimension: 4 } })).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
    expect((await client.listCollections({})).collections).toContainEqual(collection);
    await client.deleteCollection({ collection: 'crud' });
    await client.deleteCollection({ collection: 'crud' });
    await expect(client.getCollection({ collection: 'crud' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      resource: { type: 'collection', name: 'crud' },
    });
  });

  it('stores, replaces, searches as brute force does and classifies as the memory bank does', async () => {
    const { client } = server;
    const [collection, dimension, count, k] = ['big', 32, 5000, 20];
    await client.createCollection({ collection, config: { dimension } });
    const vectors = wholeVectors(count, dimension, 1);
    const labels = Int32Array.from({ length: count }, (_, i) => i % 7);
    const half = count / 2;
    const old = wholeVectors(100, dimension, 9);
    await client.upsert(stream(part(collection, range(100, half), old)));
    const stored = await client.upsert(
      stream(
        part(collection, range(half), vectors.slice(0, half * dimension), labels.slice(0, half)),
        part('', range(half, half), vectors.slice(half * dimension), labels.slice(half)),
      ),
    );
    expect(stored).toMatchObject({ upserted: BigInt(count), size: BigInt(count) });

    const queries = wholeVectors(50, dimension, 2);
    const { results } = await client.search({ collection, queries: bytesOf(queries), k });
    const expected = exactTopK({ queries, dimension, k }, vectors);
    expect(results.flatMap(({ neighbors }) => neighbors.map(({ score }) => score))).toEqual([...expected.scores]);
    for (const [query, { neighbors }] of results.entries()) {
      for (const { id, score, label } of neighbors) {
        const own = vectors.subarray(Number(id) * dimension, (Number(id) + 1) * dimension);
        expect(own.reduce((sum, value, i) => sum + value * queries[query * dimension + i]!, 0)).toBe(score);
        expect(label).toBe(labels[Number(id)]);
      }
    }
    const one = await client.search({ collection, query: [...queries.subarray(0, dimension)], k });
    expect(one.results[0]?.neighbors.map(({ score }) => score)).toEqual([...expected.scores.subarray(0, k)]);

    const temperature = 5000;
    const knn = weightedKnn({ bank: vectors, labels, queries, k, temperature, classes: 7 });
    const classified = await client.classify({ collection, queries: bytesOf(queries), k, temperature });
    expect(classified.results.map(({ label }) => label)).toEqual([...knn.predictions]);
    const best = classified.results[0]?.votes[0];
    expect(best?.share).toBeCloseTo(knn.shares[best?.label ?? 0] ?? 0, 5);
  });

  it('answers others while a search runs', async () => {
    const { client } = server;
    const queries = bytesOf(wholeVectors(4096, 32, 3));
    let running = true;
    const search = client.search({ collection: 'big', queries, k: 1 }).finally(() => (running = false));
    let answers = 0;
    for (; running; answers++) await client.listCollections({});
    await search;
    expect(answers).toBeGreaterThan(3);
  });

  it('mines the reference’s files, byte for byte, whatever the order of arrival', async () => {
    const { client } = server;
    const golden = readGoldenJson<{ mine_accuracy: Record<string, number> }>('knn');
    const { data, shape } = readGoldenNpy<Float32Array>('knn-bank');
    const labels = Int32Array.from(readGoldenNpy<BigInt64Array>('knn-bank-targets').data, Number);
    const [rows = 0, dimension = 0] = shape;
    await client.createCollection({ collection: 'golden', config: { dimension } });
    const half = Math.floor(rows / 2);
    await client.upsert(
      stream(part('golden', range(rows - half, half), data.slice(half * dimension), labels.slice(half))),
    );
    await client.upsert(stream(part('golden', range(half), data.slice(0, half * dimension), labels.slice(0, half))));
    for (const [k, accuracy] of Object.entries(golden.mine_accuracy)) {
      const { job } = await client.startMining({ collection: 'golden', k: Number(k) });
      let last;
      for await (const event of client.watchMining({ jobId: job?.jobId })) last = event.job;
      expect(last).toMatchObject({
        state: MiningState.SUCCEEDED,
        key: `collections/golden/topk-${k}.npy`,
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
        .map((k) => `collections/golden/topk-${k}.npy`)
        .sort(),
    );
    expect((await verifyStore(store)).faults).toEqual([]);
  });

  it.each(['runs/a/topk-train-neighbors.npy', 'features/a/b/topk-3.npy', 'collections/keys/topk-best.npy'])(
    'mines to %s',
    async (key) => {
      const { client } = server;
      await client.createCollection({ collection: 'keys', config: { dimension: 1 } });
      await client.upsert(stream(part('keys', [0, 1], Float32Array.of(1, 2))));
      const { job } = await client.startMining({ collection: 'keys', k: 1, key });
      let last;
      for await (const event of client.watchMining({ jobId: job?.jobId })) last = event.job;
      expect(last).toMatchObject({ state: MiningState.SUCCEEDED, key, accuracy: undefined });
    },
  );

  it('ranks vectors of the largest norm that is allowed', async () => {
    const { client } = server;
    await client.createCollection({ collection: 'long', config: { dimension: 2 } });
    await client.upsert(stream(part('long', [0, 1], Float32Array.of(1e18, 0, -1e18, 0), Int32Array.of(5, 6))));
    const { results } = await client.search({ collection: 'long', query: [-1e18, 0], k: 2 });
    expect(results[0]?.neighbors.map(({ id }) => id)).toEqual([1n, 0n]);
    expect(results[0]?.neighbors[0]?.score).toBeCloseTo(1e36, -31);
    const { results: classes } = await client.classify({ collection: 'long', queries: vector(-1e18, 0), k: 2 });
    expect(classes[0]?.votes).toEqual([
      { label: 6, share: 1, weight: 1, voters: 1 },
      { label: 5, share: 0, weight: 0, voters: 1 },
    ]);
  });

  it('keeps nothing of a stream that is refused or breaks', async () => {
    const { client } = server;
    await client.createCollection({ collection: 'whole', config: { dimension: 2 } });
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
    expect((await client.getCollection({ collection: 'whole' })).collection?.size).toBe(0n);
  });

  const vector = (...values: number[]) => bytesOf(Float32Array.from(values));
  it.each<[string, string, (client: Client) => Promise<unknown>]>([
    [
      'an id in capitals',
      'INVALID_ARGUMENT',
      (c) => c.createCollection({ collection: 'Big', config: { dimension: 2 } }),
    ],
    ['dimension 0', 'INVALID_ARGUMENT', (c) => c.createCollection({ collection: 'x', config: { dimension: 0 } })],
    [
      'dimension 65537',
      'INVALID_ARGUMENT',
      (c) => c.createCollection({ collection: 'x', config: { dimension: 65537 } }),
    ],
    ['search in no index', 'NOT_FOUND', (c) => c.search({ collection: 'no', queries: vector(1), k: 1 })],
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
    ['a query as long', 'INVALID_ARGUMENT', (c) => c.search({ collection: 'bad', query: [1e18, 1e18], k: 1 })],
    ['an id twice', 'INVALID_ARGUMENT', (c) => c.upsert(stream(part('bad', [1, 1], Float32Array.of(1, 2, 3, 4))))],
    [
      'a label of -2',
      'INVALID_ARGUMENT',
      (c) => c.upsert(stream(part('bad', [1], Float32Array.of(1, 2), Int32Array.of(-2)))),
    ],
    ['cut bytes', 'INVALID_ARGUMENT', (c) => c.upsert(stream({ collection: 'bad', ids: new Uint8Array(7) }))],
    [
      'another index in mid-stream',
      'INVALID_ARGUMENT',
      (c) => c.upsert(stream(part('bad', [1], Float32Array.of(1, 2)), { collection: 'big' })),
    ],
    [
      'too many vectors',
      'RESOURCE_EXHAUSTED',
      (c) => c.upsert(stream(part('bad', range(20_000), new Float32Array(40_000)))),
    ],
    ['k = 0', 'INVALID_ARGUMENT', (c) => c.search({ collection: 'bad', queries: vector(1, 2), k: 0 })],
    ['k = 2049', 'INVALID_ARGUMENT', (c) => c.search({ collection: 'bad', queries: vector(1, 2), k: 2049 })],
    [
      '4097 queries',
      'INVALID_ARGUMENT',
      (c) => c.search({ collection: 'bad', queries: new Uint8Array(4097 * 8), k: 1 }),
    ],
    ['a query of another length', 'INVALID_ARGUMENT', (c) => c.search({ collection: 'bad', query: [1], k: 1 })],
    ['a NaN query', 'INVALID_ARGUMENT', (c) => c.search({ collection: 'bad', query: [1, NaN], k: 1 })],
    ['no query', 'INVALID_ARGUMENT', (c) => c.search({ collection: 'bad', k: 1 })],
    [
      'both query forms',
      'INVALID_ARGUMENT',
      (c) => c.search({ collection: 'bad', query: [1, 2], queries: vector(1, 2), k: 1 }),
    ],
    [
      'an answer that is too large',
      'RESOURCE_EXHAUSTED',
      (c) => c.search({ collection: 'big', queries: new Uint8Array(4096 * 128), k: 2048 }),
    ],
    [
      'classifying without labels',
      'FAILED_PRECONDITION',
      (c) => c.classify({ collection: 'bad', queries: vector(1, 2) }),
    ],
    [
      'a temperature below 0',
      'INVALID_ARGUMENT',
      (c) => c.classify({ collection: 'bad', queries: vector(1, 2), temperature: -1 }),
    ],
    ['mining no index', 'NOT_FOUND', (c) => c.startMining({ collection: 'no', k: 1 })],
    ['mining with k = 0', 'INVALID_ARGUMENT', (c) => c.startMining({ collection: 'big', k: 0 })],
    ['mining with k = n', 'INVALID_ARGUMENT', (c) => c.startMining({ collection: 'bad', k: 1 })],
    ['a key outside the store', 'INVALID_ARGUMENT', (c) => c.startMining({ collection: 'big', k: 1, key: '../x' })],
    ...[
      'collections/big/snapshots/topk-1.npy',
      'collections/big/topk.npy',
      'collections/golden/topk-1.npy',
      'runs/a/model.safetensors',
      'runs/a/checkpoints/topk-1.npy',
      'runs/topk-1.npy',
      'topk-1.npy',
      'features/a/drawn-train-features.npy',
    ].map((key): [string, string, (c: Client) => Promise<unknown>] => [
      `to write ${key}`,
      'INVALID_ARGUMENT',
      (c) => c.startMining({ collection: 'big', k: 1, key }),
    ]),
    ['no job', 'NOT_FOUND', (c) => c.getMining({ jobId: 'no' })],
    ['cancelling no job', 'NOT_FOUND', (c) => c.cancelMining({ jobId: 'no' })],
  ])('refuses %s with %s', async (_name, code, call) => {
    await server.client.createCollection({ collection: 'bad', config: { dimension: 2 } });
    await expect(call(server.client)).rejects.toMatchObject({ code });
  });

  it('is as it was after a restart', async () => {
    const queries = { queries: bytesOf(wholeVectors(9, 32, 4)), k: 30 };
    const ask = async () => [
      await server.client.listCollections({}),
      await server.client.search({ collection: 'big', ...queries }),
      await server.client.scroll({ collection: 'golden', limit: 1000, includeVectors: true, includePayloads: true }),
    ];
    const before = await ask();
    await server.close();
    server = await startNeighborIndex(folder);
    expect(await ask()).toEqual(before);
  });
});
