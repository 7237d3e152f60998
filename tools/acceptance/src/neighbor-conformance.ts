// What a collection has to do whatever keeps it: one suite, run over every engine of the neighbour index.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeNpyAs } from '@kindred/formats';
import { Metric, MiningState, type CollectionConfig } from '@kindred/protocol/neighbors';
import { bytesOf, float32Of } from '@kindred/service-runtime';
import { describe, expect, it } from 'vitest';
import { defineFilterConformance } from './neighbor-filter-conformance.js';
import { numbers, part, range, scrollIds, stream, wholeVectors, type NeighborClient } from './neighbor-requests.js';

/** What the suite is run over. */
export interface ConformanceTarget {
  readonly name: string;
  /** The engine, and what it needs; the suite adds dimension, metric and index. */
  readonly config: Partial<CollectionConfig>;
  client(): NeighborClient;
  /** Folder of the artifact store. */
  readonly artifacts: string;
}

const hnsw = { $case: 'hnsw' as const, value: { m: 16, efConstruction: 200, efSearch: 200 } };
const flat = { $case: 'flat' as const, value: {} };

/** Defines the tests. */
export function defineNeighborConformance(target: ConformanceTarget): void {
  const { config, artifacts } = target;
  const make = (collection: string, rest: Partial<CollectionConfig>) =>
    target.client().createCollection({ collection, config: { ...config, ...rest } });

  describe(`a collection of ${target.name}`, () => {
    it('keeps ids of both kinds, in order, with exactly what was stored', async () => {
      const client = target.client();
      const collection = 'c-ids';
      await make(collection, { dimension: 2 });
      const large = [0n, 9n, 10n, 2n ** 53n + 1n, 2n ** 64n - 1n];
      const texts = ['a', 'B', ' a', 'a ', 'a b', 'ü', '9', 'x'.repeat(256), '\u{1f600}', '\uffff'];
      const payload = '{"b": 1.50, "a": [1, null, "x"], "ü": {"e": ""}}';
      await client.upsert(
        stream(
          part(
            collection,
            [...large].reverse(),
            Float32Array.from({ length: 10 }, (_, i) => i / 7 - 1),
          ),
          {
            texts,
            vectors: bytesOf(Float32Array.from({ length: texts.length * 2 }, (_, i) => -i / 3)),
            labels: bytesOf(Int32Array.from(texts, (_, i) => i - 1)),
            payloads: texts.map((_, i) => (i % 2 === 0 ? payload : '')),
          },
        ),
      );
      const sorted = texts.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      for (const limit of [1, 2, 4, 100])
        expect(await scrollIds(client, { collection, limit })).toEqual([...large, ...sorted]);
      const from = await client.scroll({
        collection,
        limit: 100,
        after: { id: { $case: 'number', value: 11n } },
      });
      expect(from.points.map(({ id }) => id?.id?.value)).toEqual([...large.slice(3), ...sorted]);

      const { points } = await client.get({
        collection,
        ids: numbers([77n, large[4]!, 0n]),
        texts: ['a ', 'nothing', ' a'],
        includeVectors: true,
        includePayloads: true,
      });
      expect(points.map(({ id }) => id?.id?.value)).toEqual([large[4], 0n, 'a ', ' a']);
      expect(points.map(({ label }) => label)).toEqual([-1, -1, 2, 1]);
      expect(points.map((point) => point.payload)).toEqual(['', '', '', payload]);
      expect([...float32Of(points[0]!.vector, 'v')]).toEqual([...Float32Array.of(0 / 7 - 1, 1 / 7 - 1)]);
      expect([...float32Of(points[3]!.vector, 'v')]).toEqual([...Float32Array.of(-4 / 3, -5 / 3)]);
    });

    it('replaces points whole, and deletes them for good', async () => {
      const client = target.client();
      const collection = 'c-writes';
      await make(collection, { dimension: 4, index: hnsw });
      const count = 400;
      const vectors = wholeVectors(count, 4, 5);
      const labels = Int32Array.from(range(count), (i) => i % 5);
      const payloads = range(count).map((i) => JSON.stringify({ i }));
      const first = await client.upsert(stream({ ...part(collection, range(count), vectors, labels), payloads }));
      expect(first).toMatchObject({ upserted: 400n, size: 400n });
      const again = await client.upsert(stream(part(collection, range(10, 395), wholeVectors(10, 4, 6))));
      expect(again).toMatchObject({ upserted: 10n, size: 405n });
      const { points } = await client.get({ collection, ids: numbers([394, 395]), includePayloads: true });
      expect(points.map(({ label, payload }) => [label, payload])).toEqual([
        [394 % 5, '{"i":394}'],
        [-1, ''],
      ]);
      const stats = await client.getStats({ collection });
      expect(stats).toMatchObject({ size: 405n, labelled: 395n });

      const gone = await client.delete({ collection, ids: numbers([3, 4, 5, 1_000_000]) });
      expect(gone).toMatchObject({ deleted: 3n, size: 402n });
      const two = { must: [{ condition: { $case: 'label' as const, value: { anyOf: [2] } } }] };
      const byFilter = await client.delete({ collection, filter: two });
      expect(byFilter).toMatchObject({ deleted: 79n, size: 323n });
      expect((await client.delete({ collection, filter: two })).deleted).toBe(0n);
      for (const exact of [false, true]) {
        const options = { exact };
        const { results } = await client.search({
          collection,
          queries: bytesOf(vectors.subarray(0, 40)),
          k: 500,
          options,
        });
        for (const { neighbors } of results) {
          expect(neighbors.some(({ id, label }) => label === 2 || [3n, 4n, 5n].includes(id))).toBe(false);
          expect(new Set(neighbors.map(({ id }) => id)).size).toBe(neighbors.length);
        }
      }
    });

    it('scores by its metric, with thresholds, nearest first', async () => {
      const client = target.client();
      const vectors = Float32Array.of(3, 4, 0, 5, -1, 0);
      for (const [collection, metric] of [
        ['c-product', Metric.INNER_PRODUCT],
        ['c-cosine', Metric.COSINE],
        ['c-l2', Metric.L2],
      ] as const) {
        await make(collection, { dimension: 2, metric });
        await client.upsert(stream(part(collection, [1, 2, 3], vectors)));
      }
      const ask = async (collection: string, scoreThreshold?: number) => {
        const { results } = await client.search({ collection, query: [6, 8], k: 3, options: { scoreThreshold } });
        return results[0]!.neighbors.map(({ id, score }) => [Number(id), Number(score.toFixed(5))]);
      };
      expect(await ask('c-product')).toEqual([
        [1, 50],
        [2, 40],
        [3, -6],
      ]);
      expect(await ask('c-product', 40)).toEqual([
        [1, 50],
        [2, 40],
      ]);
      expect(await ask('c-cosine')).toEqual([
        [1, 1],
        [2, 0.8],
        [3, -0.6],
      ]);
      expect(await ask('c-cosine', 0.5)).toEqual([
        [1, 1],
        [2, 0.8],
      ]);
      expect(await ask('c-l2')).toEqual([
        [1, 25],
        [2, 45],
        [3, 113],
      ]);
      expect(await ask('c-l2', 45)).toEqual([
        [1, 25],
        [2, 45],
      ]);
      expect(await ask('c-l2', -1)).toEqual([]);
    });

    it.each([
      ['flat', flat, 1],
      ['hnsw', hnsw, 0.98],
    ] as const)('finds with the index %s what is nearest', async (kind, index, least) => {
      const client = target.client();
      const collection = `c-${kind}`;
      const [count, dimension, k] = [2000, 16, 10];
      await make(collection, { dimension, index });
      const vectors = wholeVectors(count, dimension, 3);
      await client.upsert(stream(part(collection, range(count), vectors)));
      const queries = wholeVectors(25, dimension, 4);
      const best = (query: number): number[] =>
        range(count)
          .map((row) =>
            range(dimension).reduce(
              (sum, i) => sum + vectors[row * dimension + i]! * queries[query * dimension + i]!,
              0,
            ),
          )
          .sort((a, b) => b - a)
          .slice(0, k);
      for (const exact of [false, true]) {
        const options = { exact, includeVectors: true };
        const { results } = await client.search({ collection, queries: bytesOf(queries), k, options });
        let right = 0;
        for (const [query, { neighbors }] of results.entries()) {
          const scores = neighbors.map(({ score }) => score);
          const wanted = best(query);
          if (exact) expect(scores).toEqual(wanted);
          right += scores.filter((score) => wanted.includes(score)).length;
          for (const { id, vector } of neighbors)
            expect(
              Buffer.compare(vector, bytesOf(vectors.subarray(Number(id) * dimension, (Number(id) + 1) * dimension))),
            ).toBe(0);
        }
        expect(right / (results.length * k)).toBeGreaterThanOrEqual(exact ? 1 : least);
      }
    });

    it('answers several searches at once and in streams, and lets neighbours vote', async () => {
      const client = target.client();
      const collection = 'c-votes';
      await make(collection, { dimension: 2 });
      const labels = Int32Array.of(0, 0, 1, -1);
      await client.upsert(stream(part(collection, range(4), Float32Array.of(1, 0, 0.9, 0, 0, 1, 0.7, 0.7), labels)));
      const query = (x: number, k: number) => ({ collection, query: [x, 1 - x], k });
      const { answers } = await client.multiSearch({ searches: [query(1, 3), query(0, 2)] });
      expect(answers.map(({ results }) => results[0]!.neighbors.map(({ id }) => Number(id)))).toEqual([
        [0, 1, 3],
        [2, 3],
      ]);
      const tags: bigint[] = [];
      const requests = async function* () {
        for (const tag of range(20)) yield { search: query(1, 1), tag: BigInt(tag) };
      };
      for await (const { tag, answer } of client.searchStream(requests())) {
        tags.push(tag);
        expect(answer?.results[0]?.neighbors[0]?.id).toBe(0n);
      }
      expect(tags).toEqual(range(20).map(BigInt));
      const { results } = await client.classify({
        collection,
        queries: bytesOf(Float32Array.of(1, 0)),
        k: 4,
        temperature: 0.5,
      });
      // exp(s / T) of 1 and 0.9 against that of 0 (Wu et al. 2018); the unlabelled point does not vote.
      const [near, far] = [Math.exp(1 / 0.5) + Math.exp(0.9 / 0.5), Math.exp(0)];
      expect(results[0]?.label).toBe(0);
      expect(results[0]?.votes.map(({ label }) => label)).toEqual([0, 1]);
      expect(results[0]?.votes[0]?.share).toBeCloseTo(near / (near + far), 5);
      await make('c-unlabelled', { dimension: 2 });
      await client.upsert(stream(part('c-unlabelled', [1], Float32Array.of(1, 0))));
      await expect(
        client.classify({ collection: 'c-unlabelled', queries: bytesOf(Float32Array.of(1, 0)) }),
      ).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    });

    it('mines the neighbours of every point', async () => {
      const client = target.client();
      const collection = 'c-mining';
      const [count, dimension, k] = [300, 8, 5];
      await make(collection, { dimension });
      const vectors = wholeVectors(count, dimension, 8);
      await client.upsert(stream(part(collection, range(count), vectors, new Int32Array(count).fill(1))));
      const { job } = await client.startMining({ collection, k });
      let last = job!;
      for await (const { job: now } of client.watchMining({ jobId: last.jobId })) last = now!;
      expect(last).toMatchObject({ state: MiningState.SUCCEEDED, completed: 300n, accuracy: 100 });
      const { data, shape } = decodeNpyAs(await readFile(join(artifacts, last.key)), 'i8');
      expect(shape).toEqual([count, k + 1]);
      const product = (a: number, b: number): number =>
        range(dimension).reduce((sum, i) => sum + vectors[a * dimension + i]! * vectors[b * dimension + i]!, 0);
      for (const row of [0, 17, 299]) {
        const found = Array.from(data.subarray(row * (k + 1), (row + 1) * (k + 1)), Number);
        const wanted = range(count)
          .filter((other) => other !== row)
          .map((other) => product(row, other));
        expect(found[0]).toBe(row);
        expect(found.slice(1).map((other) => product(row, other))).toEqual(wanted.sort((a, b) => b - a).slice(0, k));
      }
    });

    it('is known by its name and aliases until it is deleted', async () => {
      const client = target.client();
      await make('c-blue', { dimension: 1, description: 'for people' });
      await make('c-blue', { dimension: 1, description: 'for people' });
      await expect(make('c-blue', { dimension: 2 })).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
      await make('c-green', { dimension: 1 });
      await client.upsert(stream(part('c-green', [5], Float32Array.of(1))));
      await client.updateAliases({ changes: [{ alias: 'c-live', collection: 'c-blue' }] });
      await client.updateAliases({ changes: [{ alias: 'c-live', collection: 'c-green' }] });
      expect((await client.count({ collection: 'c-live' })).count).toBe(1n);
      const { collection } = await client.getCollection({ collection: 'c-blue' });
      expect(collection).toMatchObject({ size: 0n, config: { dimension: 1, description: 'for people', ...config } });
      await client.deleteCollection({ collection: 'c-green' });
      await expect(client.count({ collection: 'c-green' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await make('c-green', { dimension: 3 });
      expect((await client.count({ collection: 'c-green' })).count).toBe(0n);
      const { collections } = await client.listCollections({});
      expect(collections.map((one) => one.collection)).toEqual(expect.arrayContaining(['c-blue', 'c-green', 'c-ids']));
    });

    it.each<[string, string, (c: NeighborClient) => Promise<unknown>]>([
      ['vectors of another length', 'vectors', (c) => c.upsert(stream(part('c-l2', [50], Float32Array.of(1))))],
      ['NaN', 'vectors', (c) => c.upsert(stream(part('c-l2', [50], Float32Array.of(1, NaN))))],
      ['an id twice', 'ids', (c) => c.upsert(stream(part('c-l2', [50, 50], Float32Array.of(1, 1, 2, 2))))],
      ['k = 0', 'k', (c) => c.search({ collection: 'c-l2', query: [1, 1], k: 0 })],
      ['an empty condition', 'filter.must[0]', (c) => c.count({ collection: 'c-l2', filter: { must: [{}] } })],
    ])('refuses %s, naming the field, and applies nothing', async (_, field, call) => {
      await expect(call(target.client())).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        violations: [expect.objectContaining({ field })],
      });
      expect((await target.client().count({ collection: 'c-l2' })).count).toBe(3n);
    });

    defineFilterConformance(target);
  });
}
