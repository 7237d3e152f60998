// Answers are held to the bytes of a message: pages end before it, other answers are refused with the field.
import { GetResponse } from '@kindred/protocol/neighbors';
import { bytesOf } from '@kindred/service-runtime';
import { temporaryFolder } from '@kindred/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { answerBytesOf, createAnswerBudget } from './answer-budget.js';
import { contractLimits } from './limits.js';
import { range, startNeighborIndex, stream } from './spec/start-neighbor-index.js';
import { pointToWire } from './wire.js';

let server: Awaited<ReturnType<typeof startNeighborIndex>>;
const collection = 'heavy';
const count = 1_200;
const payload = JSON.stringify({ text: 'x'.repeat(65_000) });

beforeAll(async () => {
  server = await startNeighborIndex(temporaryFolder('answer-size'), { limits: { maxUpsertBytes: 256 * 1024 * 1024 } });
  const { client } = server;
  await client.createCollection({ collection, config: { dimension: 2 } });
  for (let first = 0; first < count; first += 400) {
    const ids = BigUint64Array.from(range(400, first), BigInt);
    const vectors = Float32Array.from({ length: 800 }, (_, i) => first * 2 + i);
    const payloads = new Array<string>(400).fill(payload);
    await client.upsert(stream({ collection, ids: bytesOf(ids), vectors: bytesOf(vectors), payloads }));
  }
});
afterAll(() => server.close());

it('cuts pages where the message would be too large, and goes on where they end', async () => {
  const seen: unknown[] = [];
  let after;
  let pages = 0;
  do {
    const page = await server.client.scroll({ collection, limit: 10_000, after, includePayloads: true });
    seen.push(...page.points.map(({ id }) => id?.id?.value));
    expect(page.points.every((point) => point.payload === payload)).toBe(true);
    after = page.next;
    pages++;
  } while (after !== undefined);
  expect(seen).toEqual(range(count).map(BigInt));
  // 78 MB in messages of 63 MiB.
  expect(pages).toBe(2);
});

it('refuses other answers with the field and what to do', async () => {
  const { client } = server;
  const refused = (field: string) => ({
    code: 'RESOURCE_EXHAUSTED',
    violations: [
      expect.objectContaining({ field, description: expect.stringMatching(/allowed: \d+; ask for fewer/) as string }),
    ],
  });
  const ids = bytesOf(BigUint64Array.from(range(count), BigInt));
  const options = { includePayloads: true };
  const search = { collection, query: [1, 0], k: count, options };
  await expect(client.get({ collection, ids, includePayloads: true })).rejects.toMatchObject(refused('ids'));
  await expect(client.search(search)).rejects.toMatchObject(refused('k'));
  const half = { ...search, k: count / 2 };
  expect((await client.search(half)).results[0]?.neighbors.length).toBe(count / 2);
  // Each alone fits.
  await expect(client.multiSearch({ searches: [half, half] })).rejects.toMatchObject(refused('k'));
  expect((await client.get({ collection, ids })).points.length).toBe(count);
});

it('refuses before it searches what no answer could hold', async () => {
  const { client } = server;
  const wide = { collection: 'wide', config: { dimension: 65_536 } };
  await client.createCollection(wide);
  const queries = new Uint8Array(65_536 * 4);
  const options = { includeVectors: true };
  await expect(client.search({ collection: 'wide', queries, k: 2048, options })).rejects.toMatchObject({
    code: 'RESOURCE_EXHAUSTED',
    violations: [expect.objectContaining({ field: 'options.include_vectors' })],
  });
  const image = Uint8Array.of(1);
  await expect(client.searchByImage({ collection: 'wide', model: 'm', image, k: 2048, options })).rejects.toMatchObject(
    { code: 'RESOURCE_EXHAUSTED' },
  );
  const many = new Uint8Array(4096 * 8);
  await expect(client.classify({ collection, queries: many, k: 2048 })).rejects.toMatchObject({
    code: expect.stringMatching(/RESOURCE_EXHAUSTED/) as string,
    violations: [expect.objectContaining({ field: 'k' })],
  });
});

it('counts at least the bytes that a point takes in a message', () => {
  const points = [
    { id: 2n ** 64n - 1n, label: -1, vector: null, payload: '' },
    { id: 'ü'.repeat(128), label: 7, vector: new Float32Array(3000).fill(1), payload: '€'.repeat(20_000) },
  ];
  for (const point of points) {
    const { byteLength } = GetResponse.encode({ points: [pointToWire(point)] }).finish();
    const counted = answerBytesOf(point.id, Buffer.byteLength(point.payload), point.vector?.length ?? 0);
    expect(byteLength).toBeLessThanOrEqual(counted);
    expect(counted - byteLength).toBeLessThan(64);
  }
});

it('tells all limits', async () => {
  const { limits } = await server.client.getInfo({});
  expect(limits).toMatchObject({
    answerBytes: BigInt(contractLimits.answerBytes),
    answerVectorBytes: 50_331_648n,
    searches: 100,
    streamSearches: 16,
    aliasChanges: 1000,
    aliases: 10_000,
    nameBytes: 63,
    descriptionBytes: 1000,
    efSearch: 4096,
    probes: 65_536,
    votes: 10,
    miningK: 2047,
  });
  // Nothing of it is left out.
  expect(Object.entries(limits ?? {}).filter(([, value]) => Number(value) === 0)).toEqual([]);
});

it('has a budget that takes what fits to the byte', () => {
  const budget = createAnswerBudget('k', 'ask for less', 10);
  budget.take(4);
  expect(budget.fits(7)).toBe(false);
  budget.take(6);
  expect(() => budget.take(1)).toThrow('k: got an answer above 10 bytes; allowed: 10; ask for less');
});
