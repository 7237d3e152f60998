import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { buildIndex, crc32c, exportFaiss, loadIndex, searchRows, type IndexPlan, type SegmentIndex } from './index.js';

const dimension = 24;
const folder = temporaryFolder('faiss-native');

/** Numbers from -0.5 to 0.5, the same for the same seed. */
function drawn(count: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 24 - 0.5;
  });
}

/** The k nearest rows of each query by the definition, in double precision. */
function bruteForce(
  queries: Float32Array,
  vectors: Float32Array,
  k: number,
  l2: boolean,
  allowed = (_row: number) => true,
) {
  return Array.from({ length: queries.length / dimension }, (_, q) => {
    const rows = Array.from({ length: vectors.length / dimension }, (_, row) => {
      let score = 0;
      for (let i = 0; i < dimension; i++) {
        const [a, b] = [queries[q * dimension + i]!, vectors[row * dimension + i]!];
        score += l2 ? (a - b) ** 2 : a * b;
      }
      return { row, score };
    }).filter(({ row }) => allowed(row));
    return rows.sort((a, b) => (l2 ? a.score - b.score : b.score - a.score) || a.row - b.row).slice(0, k);
  });
}

const request = { dimension, efSearch: 64, probes: 0, refine: 10 };
const rowsOf = (vectors: Float32Array) => ({ vectors, rows: vectors.length / dimension, dimension });
const bitsOf = (rows: number, allowed: (row: number) => boolean): Uint8Array => {
  const bits = new Uint8Array(Math.ceil(rows / 8));
  for (let row = 0; row < rows; row++) if (allowed(row)) bits[row >> 3]! |= 1 << (row & 7);
  return bits;
};

describe('rows one by one', () => {
  it.each([
    { queries: 1, k: 3, l2: false },
    { queries: 3, k: 700, l2: true },
    { queries: 40, k: 10, l2: false },
    { queries: 301, k: 5, l2: true },
  ])('are found as the definition says: $queries queries, k = $k, L2 $l2', async ({ queries: count, k, l2 }) => {
    const parts = [drawn(300 * dimension, 1), drawn(17 * dimension, 2), drawn(400 * dimension, 3)];
    const all = new Float32Array(717 * dimension);
    let offset = 0;
    for (const part of parts) all.set(part, (offset += part.length) - part.length);
    const queries = drawn(count * dimension, 4);
    const allowed = (row: number): boolean => row % 3 !== 1;
    const bounds = [0, 300, 317];
    const segments = parts.map((part, i) => ({
      ...rowsOf(part),
      allowed: i === 1 ? null : bitsOf(part.length / dimension, (row) => allowed(bounds[i]! + row)),
      index: null,
    }));
    const { scores, positions } = await searchRows({ ...request, segments, queries, k, l2 });
    const expected = bruteForce(queries, all, k, l2, (row) => allowed(row) || (row >= 300 && row < 317));
    for (const [q, rows] of expected.entries()) {
      expect([...positions.subarray(q * k, (q + 1) * k)].slice(0, rows.length)).toEqual(rows.map(({ row }) => row));
      for (const [i, { score }] of rows.entries()) expect(scores[q * k + i]).toBeCloseTo(score, 5);
      for (let i = rows.length; i < k; i++) expect(positions[q * k + i]).toBe(-1);
    }
  });

  it('of equal scores come in their order', async () => {
    const vectors = new Float32Array(900 * dimension).fill(0.3);
    const segments = [{ ...rowsOf(vectors), allowed: null, index: null }];
    const queries = drawn(20 * dimension, 5);
    const { positions } = await searchRows({ ...request, segments, queries, k: 7, l2: false });
    expect([...positions]).toEqual(Array.from({ length: 140 }, (_, i) => i % 7));
  });

  it('are no longer looked at when the caller leaves', async () => {
    const vectors = drawn(20_000 * dimension, 6);
    const abort = new AbortController();
    const segments = [{ ...rowsOf(vectors), allowed: null, index: null }];
    const search = searchRows({ ...request, segments, queries: vectors, k: 10, l2: false, signal: abort.signal });
    abort.abort();
    await expect(search).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

const plans: IndexPlan[] = [
  { kind: 'hnsw', links: 16, efConstruction: 100 },
  { kind: 'ivf-flat', lists: 20 },
  { kind: 'ivf-pq', lists: 4, subvectors: 12 },
  { kind: 'sq8' },
];

describe.each(plans)('an index of kind $kind', (plan) => {
  const vectors = drawn(4000 * dimension, 7);
  const rows = rowsOf(vectors);
  const queries = drawn(50 * dimension, 8);
  const k = 10;
  const find = async (index: SegmentIndex | null, l2: boolean, allowed: Uint8Array | null = null, probes = 20) =>
    searchRows({ ...request, probes, segments: [{ ...rows, allowed, index }], queries, k, l2 });
  const hits = (found: Int32Array, exact: Int32Array): number =>
    exact.reduce((sum, row, i) => {
      const start = i - (i % k);
      return sum + (found.subarray(start, start + k).includes(row) ? 1 : 0);
    }, 0) / exact.length;

  it.each([false, true])('finds nearly all that an exact search finds, with exact scores; L2 %s', async (l2) => {
    const { index, bytes } = await buildIndex(rows, plan, { l2 });
    const exact = await find(null, l2);
    const found = await find(index, l2);
    expect(hits(found.positions, exact.positions)).toBeGreaterThan(0.9);
    const scores = new Map(Array.from(exact.positions, (row, i) => [`${Math.floor(i / k)} ${row}`, exact.scores[i]]));
    for (const [i, row] of found.positions.entries()) {
      const known = scores.get(`${Math.floor(i / k)} ${row}`);
      if (known !== undefined) expect(found.scores[i]).toBe(known);
    }
    const again = await loadIndex(rows, plan.kind, { bytes, l2 });
    expect((await find(again, l2)).positions).toEqual(found.positions);
    expect(index.bytes()).toBeGreaterThan(0);
    for (const one of [index, again]) one.close();
    // A closed index is not missed: its rows are compared.
    expect((await find(index, l2)).positions).toEqual(exact.positions);
  });

  it.each([0.5, 0.1, 0.01, 0.002])(
    'finds k allowed rows where there are k, and no other, of a share of %d',
    async (share) => {
      const { index } = await buildIndex(rows, plan, { l2: false });
      const step = Math.round(1 / share);
      const bits = bitsOf(rows.rows, (row) => row % step === 0);
      const wanted = Math.min(k, Math.ceil(rows.rows / step));
      // One cell only: what it lacks has to be looked for elsewhere.
      const { positions } = await find(index, false, bits, 1);
      for (let q = 0; q < 50; q++) {
        const found = [...positions.subarray(q * k, (q + 1) * k)].filter((row) => row >= 0);
        expect(found.length).toBe(wanted);
        expect(found.every((row) => row % step === 0)).toBe(true);
        expect(new Set(found).size).toBe(wanted);
      }
      index.close();
    },
  );

  it('refuses other bytes, and bytes for other rows', async () => {
    const { index, bytes } = await buildIndex(rows, plan, { l2: false });
    index.close();
    for (const damaged of [
      bytes.subarray(0, 100),
      bytes.subarray(0, bytes.length - 1),
      new Uint8Array(64),
      new Uint8Array(0),
    ]) {
      await expect(loadIndex(rows, plan.kind, { bytes: damaged, l2: false })).rejects.toMatchObject({
        code: 'DATA_LOSS',
      });
    }
    const fewer = { ...rows, rows: rows.rows - 1 };
    await expect(loadIndex(fewer, plan.kind, { bytes, l2: false })).rejects.toMatchObject({ code: 'DATA_LOSS' });
    await expect(loadIndex(rows, plan.kind, { bytes, l2: true })).rejects.toMatchObject({ code: 'DATA_LOSS' });
  });

  it('writes a file for plain faiss', async () => {
    const { index, bytes } = await buildIndex(rows, plan, { l2: false });
    index.close();
    const path = join(folder, `${plan.kind}.faiss`);
    const ids = BigInt64Array.from({ length: rows.rows }, (_, row) => BigInt(row));
    await exportFaiss(rows, { path, bytes, l2: false, ids });
    // IndexIDMap, as faiss's write_index begins its files.
    expect(readFileSync(path).subarray(0, 4).toString()).toBe('IxMp');
  });
});

it('gives faiss’s exceptions as errors', async () => {
  const rows = rowsOf(drawn(10 * dimension, 9));
  const plan = { kind: 'ivf-pq', lists: 4, subvectors: 7 } as const;
  await expect(buildIndex(rows, plan, { l2: false })).rejects.toMatchObject({ code: 'INTERNAL' });
  await expect(buildIndex({ ...rows, rows: 11 }, plan, { l2: false })).rejects.toMatchObject({ code: 'INTERNAL' });
});

it('makes the checksums of RFC 3720, appendix B.4', () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
  expect(crc32c(ascending)).toBe(0x46dd794e);
  expect(crc32c(ascending.subarray(5), crc32c(ascending.subarray(0, 5)))).toBe(0x46dd794e);
});
