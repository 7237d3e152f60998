import { readGoldenJson, readGoldenNpy } from '@kindred/testing';
import { afterAll, describe, expect, it } from 'vitest';
import { loadAddon } from './addons.js';
import { buildIndex, createFaissEngine, searchRows } from './index.js';

/** Numbers from `draw`, which is given a uniform number in [0, 1) each time. */
function drawn(count: number, seed: number, draw: (uniform: number) => number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return draw(state / 2 ** 32);
  });
}

/** Few different whole numbers: products are exact in any order of summation, and many are equal. */
const whole = (uniform: number): number => Math.floor(uniform * 5) - 2;

/** Scores and positions by the definition: all products in double precision, sorted by score, then by position. */
function bruteForce(vectors: Float32Array, dimension: number, k: number): { scores: number[]; positions: number[] } {
  const rows = vectors.length / dimension;
  const order = Array.from({ length: rows }, (_, i) => i);
  const scores: number[] = [];
  const positions: number[] = [];
  for (let row = 0; row < rows; row++) {
    const products = order.map((other) => {
      let sum = 0;
      for (let d = 0; d < dimension; d++) sum += vectors[row * dimension + d]! * vectors[other * dimension + d]!;
      return sum;
    });
    const best = [...order].sort((a, b) => products[b]! - products[a]! || a - b).slice(0, k);
    positions.push(...best);
    scores.push(...best.map((other) => products[other]!));
  }
  return { scores, positions };
}

describe('mining', () => {
  const engine = createFaissEngine();
  afterAll(() => engine.close());

  it.each([
    { rows: 1, dimension: 3, k: 1 },
    { rows: 50, dimension: 1, k: 50 },
    { rows: 97, dimension: 7, k: 3 },
    { rows: 1500, dimension: 20, k: 21 },
  ])('finds what the definition says, ties by position: $rows × $dimension, k = $k', async ({ rows, dimension, k }) => {
    const vectors = drawn(rows * dimension, rows, whole);
    const found = await engine.mine({ vectors, dimension, k });
    expect({ scores: [...found.scores], positions: [...found.positions] }).toEqual(bruteForce(vectors, dimension, k));
    expect(found.k).toBe(k);
  });

  it('orders copies of one vector by position, however many there are', async () => {
    const vectors = new Float32Array(700 * 5).fill(0.3);
    const { positions } = await engine.mine({ vectors, dimension: 5, k: 4 });
    expect([...positions]).toEqual(Array.from({ length: 700 * 4 }, (_, i) => i % 4));
  });

  it('agrees with faiss on real numbers', async () => {
    const dimension = 33;
    const k = 10;
    const vectors = drawn(2000 * dimension, 3, (uniform) => uniform - 0.5);
    // Rows that are there twice: equal scores that are no whole numbers.
    vectors.copyWithin(dimension * 1000, 0, dimension * 100);
    // One cell that holds all vectors: faiss itself compares them all.
    const rows = { vectors, rows: vectors.length / dimension, dimension };
    const { index } = await buildIndex(rows, { kind: 'ivf-flat', lists: 1 }, { l2: false });
    const search = { queries: vectors, dimension, k, l2: false, efSearch: 1, probes: 1, refine: 1 };
    const searched = await searchRows({ segments: [{ ...rows, allowed: null, index }], ...search });
    const mined = await engine.mine({ vectors, dimension, k });
    index.close();
    // faiss sums in another order: positions may only differ where scores are closer than that rounding.
    const rounding = 1e-5;
    for (const [i, score] of searched.scores.entries())
      expect(Math.abs(mined.scores[i]! - score)).toBeLessThan(rounding);
    const apart = [...searched.scores].flatMap((score, i) => {
      const alone = (other: number) => Math.abs(searched.scores[other]! - score) > rounding;
      const inside = i % k !== 0 && i % k !== k - 1;
      return inside && alone(i - 1) && alone(i + 1) ? [i] : [];
    });
    expect(apart.length).toBeGreaterThan(10_000);
    expect(apart.map((i) => mined.positions[i])).toEqual(apart.map((i) => searched.positions[i]));
  });

  it('mines the reference’s neighbours', async () => {
    const golden = readGoldenJson<{ mine_accuracy: Record<string, number> }>('knn');
    const bank = readGoldenNpy<Float32Array>('knn-bank');
    for (const k of Object.keys(golden.mine_accuracy).map(Number)) {
      const { positions } = await engine.mine({ vectors: bank.data, dimension: bank.shape[1] ?? 0, k: k + 1 });
      expect(BigInt64Array.from(positions, BigInt)).toEqual(readGoldenNpy<BigInt64Array>(`mine-top${k}`).data);
    }
  });

  it('reports progress that ends with all vectors, and can be cancelled', async () => {
    const vectors = drawn(20_000 * 128, 5, whole);
    const abort = new AbortController();
    const steps: number[] = [];
    const request = { vectors, dimension: 128, k: 2 };
    await engine.mine(request, { onProgress: (completed) => steps.push(completed) });
    expect(steps.length).toBeGreaterThan(2);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    expect(steps.at(-1)).toBe(20_000);

    const cancelled = engine.mine(request, { signal: abort.signal, onProgress: () => abort.abort() });
    await expect(cancelled).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it.each([
    { name: 'a length that is no multiple', vectors: new Float32Array(3), dimension: 2, k: 1 },
    { name: 'k = 0', vectors: new Float32Array(4), dimension: 2, k: 0 },
    { name: 'k beyond the vectors', vectors: new Float32Array(4), dimension: 2, k: 3 },
    { name: 'dimension 0', vectors: new Float32Array(4), dimension: 0, k: 1 },
    { name: 'no vectors', vectors: new Float32Array(0), dimension: 2, k: 1 },
    { name: 'products that are no numbers', vectors: Float32Array.of(Infinity, 0, 0, 1), dimension: 2, k: 2 },
  ])('refuses $name', async ({ vectors, dimension, k }) => {
    await expect(engine.mine({ vectors, dimension, k })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('each kernel that this processor runs', () => {
  const { kernels, Mining } = loadAddon();
  const mine = (vectors: Float32Array, dimension: number, k: number, kernel: string, threads?: number) => {
    const mining = new Mining(vectors.length / dimension, dimension, k, kernel, threads);
    mining.add(vectors);
    mining.advance(mining.rounds());
    return mining.result();
  };

  it.each(kernels)('%s finds what the definition says', (kernel) => {
    const vectors = drawn(800 * 12, 9, whole);
    const expected = bruteForce(vectors, 12, 5);
    for (const threads of [1, 3]) {
      const found = mine(vectors, 12, 5, kernel, threads);
      expect({ scores: [...found!.scores], positions: [...found!.positions] }).toEqual(expected);
    }
  });

  it('is the same to the bit with any number of threads, and on all that fuse multiplication and addition', () => {
    const vectors = drawn(3000 * 65, 11, (uniform) => uniform - 0.5);
    const expected = mine(vectors, 65, 7, kernels[0]!, 1);
    expect(mine(vectors, 65, 7, kernels[0]!, 2)).toEqual(expected);
    for (const kernel of kernels.filter((name) => name !== 'portable')) {
      expect(mine(vectors, 65, 7, kernel)).toEqual(expected);
    }
  });

  it('is refused by a name that is not its own', () => {
    expect(() => mine(new Float32Array(4), 2, 1, 'none')).toThrow("no kernel 'none'");
  });
});
