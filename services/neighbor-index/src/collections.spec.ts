// What collections are for, over gRPC: kinds and metrics, ids, payloads, filters, deletions, aliases, snapshots.
import { createFolderStore } from '@kindred/artifact-store';
import { exactTopK } from '@kindred/memory-bank';
import { Metric, type CollectionConfig, type Filter } from '@kindred/protocol/neighbors';
import { bytesOf, float32Of } from '@kindred/service-runtime';
import { temporaryFolder } from '@kindred/testing';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { smallSpec } from './spec/small-collection.js';
import { part, range, startNeighborIndex, stream, wholeVectors } from './spec/start-neighbor-index.js';

type Client = Awaited<ReturnType<typeof startNeighborIndex>>['client'];

const folder = temporaryFolder('collections');
const dimension = 16;
let server: Awaited<ReturnType<typeof startNeighborIndex>>;
beforeAll(async () => {
  server = await startNeighborIndex(folder, { maintenance: { growingRows: 1500, restMs: 50 } });
});
afterAll(() => server.close());

/** Waits until all rows lie in indexed parts. */
async function indexed(collection: string, rows: bigint): Promise<void> {
  await expect
    .poll(async () => (await server.client.getStats({ collection })).indexedRows >= rows, { timeout: 60_000 })
    .toBe(true);
}

describe.each<[string, NonNullable<CollectionConfig['index']>]>([
  ['hnsw', { $case: 'hnsw', value: { m: 0, efConstruction: 0, efSearch: 128 } }],
  ['ivf-flat', { $case: 'ivfFlat', value: { lists: 10, probes: 10 } }],
  ['sq8', { $case: 'sq8', value: { refine: 0 } }],
])('an index of kind %s', (name, index) => {
  it('never finds what is deleted, and finds k of what matches a filter', async () => {
    const { client } = server;
    const collection = `kind-${name}`;
    const count = 4000;
    await client.createCollection({ collection, config: { dimension, metric: Metric.INNER_PRODUCT, index } });
    const vectors = wholeVectors(count, dimension, 3);
    const labels = Int32Array.from({ length: count }, (_, i) => i % 50);
    await client.upsert(stream(part(collection, range(count), vectors, labels)));
    await indexed(collection, 4000n);
    const queries = wholeVectors(20, dimension, 4);
    const before = await client.search({ collection, queries: bytesOf(queries), k: 10 });
    const exact = exactTopK({ queries, dimension, k: 10 }, vectors);
    const found = before.results.flatMap(({ neighbors }) => neighbors.map(({ score }) => score));
    const right = found.filter((score, i) => score === exact.scores[i]).length;
    expect(right / found.length).toBeGreaterThan(0.95);

    const gone = before.results.flatMap(({ neighbors }) => neighbors.slice(0, 5).map(({ id }) => id));
    const answer = await client.delete({ collection, ids: bytesOf(BigUint64Array.from(gone)) });
    expect(answer.deleted).toBe(BigInt(new Set(gone).size));
    const after = await client.search({ collection, queries: bytesOf(queries), k: 100 });
    const all = after.results.flatMap(({ neighbors }) => neighbors.map(({ id }) => id));
    expect(all.some((id) => gone.includes(id))).toBe(false);
    expect(all.length).toBe(20 * 100);

    const filter: Partial<Filter> = { must: [{ condition: { $case: 'label', value: { anyOf: [7] } } }] };
    const filtered = await client.search({ collection, queries: bytesOf(queries), k: 60, options: { filter } });
    const matching = await client.count({ collection, filter });
    for (const { neighbors } of filtered.results) {
      expect(neighbors.length).toBe(Math.min(60, Number(matching.count)));
      expect(neighbors.every(({ label }) => label === 7)).toBe(true);
    }
  });
});

it('keeps ids that are texts, payloads and what they are filtered by', async () => {
  const { client } = server;
  const collection = 'texts';
  await client.createCollection({ collection, config: { dimension: 2 } });
  const camera = (model: string, size: number) => JSON.stringify({ camera: { model, size }, tags: [model, 'all'] });
  const ids = ['a', 'b', 'ü', '9'];
  await client.upsert(
    stream({
      collection,
      texts: ids,
      vectors: bytesOf(Float32Array.of(1, 0, 2, 0, 3, 0, 4, 0)),
      payloads: [camera('x', 1), camera('y', 2), '', camera('x', 3)],
    }),
  );
  await client.upsert(stream(part(collection, [9, 10], Float32Array.of(5, 0, 6, 0))));
  const search = async (filter: Partial<Filter>) => {
    const options = { filter, includePayloads: true, includeVectors: true };
    const { results } = await client.search({ collection, query: [1, 0], k: 10, options });
    return (results[0]?.neighbors ?? []).map(({ id, textId }) => (textId === '' ? id : textId));
  };
  const match = (field: string, text: string) => ({
    condition: {
      $case: 'match' as const,
      value: { field, anyOf: [{ value: { $case: 'text' as const, value: text } }] },
    },
  });
  const range2 = { condition: { $case: 'range' as const, value: { field: 'camera.size', gte: 2 } } };
  const exists = { condition: { $case: 'exists' as const, value: { field: 'camera' } } };
  expect(await search({})).toEqual([10n, 9n, '9', 'ü', 'b', 'a']);
  expect(await search({ must: [match('camera.model', 'x')] })).toEqual(['9', 'a']);
  expect(await search({ must: [match('tags', 'all'), range2] })).toEqual(['9', 'b']);
  expect(await search({ should: [range2, match('camera.model', 'x')] })).toEqual(['9', 'b', 'a']);
  expect(await search({ mustNot: [exists] })).toEqual([10n, 9n, 'ü']);
  const nine = {
    condition: { $case: 'ids' as const, value: { anyOf: [{ id: { $case: 'number' as const, value: 9n } }] } },
  };
  expect(
    await search({ must: [{ condition: { $case: 'filter', value: { must: [], should: [nine], mustNot: [] } } }] }),
  ).toEqual([9n]);

  const got = await client.get({
    collection,
    ids: bytesOf(BigUint64Array.of(10n, 77n)),
    texts: ['b'],
    includePayloads: true,
    includeVectors: true,
  });
  expect(got.points.map(({ id }) => id?.id?.value)).toEqual([10n, 'b']);
  expect(got.points[1]?.payload).toBe(camera('y', 2));
  expect([...float32Of(got.points[1]!.vector, 'v')]).toEqual([2, 0]);

  await client.upsert(stream(part(collection, [9, 10], Float32Array.of(5, 0, 6, 0))));
  const seen = [];
  let after: Awaited<ReturnType<Client['scroll']>>['next'];
  do {
    const page = await client.scroll({ collection, limit: 2, after });
    seen.push(...page.points.map(({ id }) => id?.id?.value));
    after = page.next;
  } while (after !== undefined);
  expect(seen).toEqual([9n, 10n, '9', 'a', 'b', 'ü']);

  expect((await client.delete({ collection, filter: { must: [exists] } })).deleted).toBe(3n);
  expect((await client.count({ collection })).count).toBe(3n);
});

it('scores by cosine and by squared distance, with thresholds', async () => {
  const { client } = server;
  const vectors = Float32Array.of(3, 4, 0, 5, -1, 0);
  for (const [collection, metric] of [
    ['cosine', Metric.COSINE],
    ['l2', Metric.L2],
  ] as const) {
    await client.createCollection({ collection, config: { dimension: 2, metric } });
    await client.upsert(stream(part(collection, [1, 2, 3], vectors)));
  }
  const ask = async (collection: string, scoreThreshold?: number) => {
    const { results } = await client.search({ collection, query: [6, 8], k: 3, options: { scoreThreshold } });
    return (results[0]?.neighbors ?? []).map(({ id, score }) => [Number(id), Number(score.toFixed(5))]);
  };
  expect(await ask('cosine')).toEqual([
    [1, 1],
    [2, 0.8],
    [3, -0.6],
  ]);
  expect(await ask('cosine', 0.5)).toEqual([
    [1, 1],
    [2, 0.8],
  ]);
  expect(await ask('l2')).toEqual([
    [1, 25],
    [2, 45],
    [3, 113],
  ]);
  expect(await ask('l2', 45)).toEqual([
    [1, 25],
    [2, 45],
  ]);
  await expect(client.upsert(stream(part('cosine', [4], new Float32Array(2))))).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
});

it('moves aliases all at once or not at all', async () => {
  const { client } = server;
  for (const collection of ['blue', 'green']) await client.createCollection({ collection, config: { dimension: 1 } });
  await client.updateAliases({
    changes: [
      { alias: 'live', collection: 'blue' },
      { alias: 'old', collection: 'green' },
    ],
  });
  expect((await client.getCollection({ collection: 'live' })).collection?.collection).toBe('blue');
  const wrong = [
    { alias: 'live', collection: 'green' },
    { alias: 'old', collection: 'none' },
  ];
  await expect(client.updateAliases({ changes: wrong })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect((await client.getCollection({ collection: 'live' })).collection?.collection).toBe('blue');
  await client.updateAliases({
    changes: [
      { alias: 'live', collection: 'green' },
      { alias: 'old', collection: '' },
    ],
  });
  expect((await client.listAliases({})).aliases).toEqual([{ alias: 'live', collection: 'green' }]);
  await expect(client.createCollection({ collection: 'live', config: { dimension: 1 } })).rejects.toMatchObject({
    code: 'ALREADY_EXISTS',
  });
  await client.deleteCollection({ collection: 'green' });
  expect((await client.listAliases({})).aliases).toEqual([]);
});

it.each(['../../../stolen', 'segments/../../../stolen', '/stolen', './stolen', 'segments//stolen'])(
  'restores nothing from a snapshot that names the file %s',
  async (path) => {
    const { client, dataFolder } = server;
    const content = Buffer.from('stolen');
    const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
    const list = {
      version: 1,
      collection: 'forged',
      createTime: new Date(0).toISOString(),
      size: 1,
      spec: smallSpec,
      files: [{ path, sha256: sha256(content), bytes: content.length }],
    };
    const body = Buffer.from(JSON.stringify(list));
    const store = await createFolderStore(folder);
    const snapshotId = `20260101T000000000Z-${sha256(body).slice(0, 12)}`;
    await store.put(`collections/forged/snapshots/${snapshotId}/snapshot.json`, body);
    await expect(client.restore({ source: 'forged', snapshotId, collection: 'target' })).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringContaining('is no list of a snapshot') as string,
    });
    expect(existsSync(join(dataFolder, 'collections', 'target'))).toBe(false);
  },
);

it('makes snapshots that are restored under another name, with files for faiss', async () => {
  const { client } = server;
  const collection = 'kind-hnsw';
  const { snapshot } = await client.snapshot({ collection });
  expect(snapshot?.size).toBe((await client.count({ collection })).count);
  expect(snapshot?.faissKeys.every((key) => existsSync(join(folder, key)))).toBe(true);
  await client.upsert(stream(part(collection, [999_999], wholeVectors(1, dimension, 9))));
  expect((await client.listSnapshots({ collection })).snapshots).toEqual([snapshot]);
  const restored = await client.restore({ source: collection, collection: 'again' });
  expect(restored.collection?.size).toBe(snapshot?.size);
  const options = {
    filter: {
      mustNot: [
        {
          condition: {
            $case: 'ids' as const,
            value: { anyOf: [{ id: { $case: 'number' as const, value: 999_999n } }] },
          },
        },
      ],
    },
  };
  const ask = { queries: bytesOf(wholeVectors(10, dimension, 12)), k: 20, options: { ...options, exact: true } };
  expect(await client.search({ collection: 'again', ...ask })).toEqual(await client.search({ collection, ...ask }));
  await expect(client.restore({ source: collection, collection: 'again' })).rejects.toMatchObject({
    code: 'ALREADY_EXISTS',
  });
  await expect(client.restore({ source: 'blue', collection: 'x' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

it('answers streams of searches in their order, and several searches at once', async () => {
  const { client } = server;
  const query = (value: number) => ({ collection: 'l2', query: [value, 0], k: 1 });
  const requests = async function* () {
    for (const tag of range(40)) yield { search: query(tag), tag: BigInt(tag) };
  };
  const tags: bigint[] = [];
  for await (const { tag, answer } of client.searchStream(requests())) {
    tags.push(tag);
    expect(answer?.results[0]?.neighbors.length).toBe(1);
  }
  expect(tags).toEqual(range(40).map(BigInt));
  const { answers } = await client.multiSearch({ searches: [query(1), { ...query(2), k: 3 }] });
  expect(answers.map(({ results }) => results[0]?.neighbors.length)).toEqual([1, 3]);
  await expect(client.multiSearch({ searches: [query(1), { ...query(2), k: 0 }] })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
});

it('opens the circuit to an embedding service that does not answer', async () => {
  const { client } = server;
  const ask = () => client.searchByImage({ collection: 'l2', model: 'm', image: Uint8Array.of(1), k: 1 });
  for (let i = 0; i < 5; i++) await expect(ask()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  const began = performance.now();
  await expect(ask()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(performance.now() - began).toBeLessThan(2_000);
  await expect(
    client.searchByImage({ collection: 'l2', model: 'm', image: new Uint8Array(0), k: 1 }),
  ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

it.each<[string, string, (c: Client) => Promise<unknown>]>([
  [
    'a 10 MB payload',
    'payloads[0]',
    (c) =>
      c.upsert(
        stream({
          ...part('l2', [50], Float32Array.of(1, 1)),
          payloads: [JSON.stringify({ x: 'x'.repeat(10_000_000) })],
        }),
      ),
  ],
  [
    'a payload that is no JSON',
    'payloads[0]',
    (c) => c.upsert(stream({ ...part('l2', [50], Float32Array.of(1, 1)), payloads: ['{'] })),
  ],
  [
    'a payload that is an array',
    'payloads[0]',
    (c) => c.upsert(stream({ ...part('l2', [50], Float32Array.of(1, 1)), payloads: ['[1]'] })),
  ],
  [
    'an id in two parts',
    'ids',
    (c) => c.upsert(stream(part('l2', [50], Float32Array.of(1, 1)), part('', [50], Float32Array.of(1, 1)))),
  ],
  ['a filter without a condition', 'filter.must[0]', (c) => c.count({ collection: 'l2', filter: { must: [{}] } })],
  [
    'a range with an endless bound',
    'filter.must[0].range',
    (c) => {
      const value = { field: 'a', gte: Infinity };
      return c.count({ collection: 'l2', filter: { must: [{ condition: { $case: 'range', value } }] } });
    },
  ],
  [
    'a range without bounds',
    'filter.must[0].range',
    (c) => c.count({ collection: 'l2', filter: { must: [{ condition: { $case: 'range', value: { field: 'a' } } }] } }),
  ],
  [
    'a field without a name',
    'filter.must[0].exists.field',
    (c) =>
      c.count({ collection: 'l2', filter: { must: [{ condition: { $case: 'exists', value: { field: 'a..b' } } }] } }),
  ],
  [
    'efSearch for flat',
    'options.ef_search',
    (c) => c.search({ collection: 'l2', query: [1, 1], k: 1, options: { efSearch: 10 } }),
  ],
  [
    'subvectors that do not divide',
    'config.ivf_pq.subvectors',
    (c) =>
      c.createCollection({
        collection: 'x',
        config: { dimension: 10, index: { $case: 'ivfPq', value: { subvectors: 3 } } },
      }),
  ],
])('refuses %s, naming the field, and applies nothing', async (_, field, call) => {
  const before = await server.client.count({ collection: 'l2' });
  await expect(call(server.client)).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    violations: [expect.objectContaining({ field })],
  });
  expect(await server.client.count({ collection: 'l2' })).toEqual(before);
});
