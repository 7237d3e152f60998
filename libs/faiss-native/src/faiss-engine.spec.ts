import { readGoldenJson, readGoldenNpy } from '@kindred/testing';
import { afterAll, describe, expect, it } from 'vitest';
import { createFaissEngine } from './index.js';
import { orderTies } from './order-ties.js';

/** Whole numbers make inner products exact in any order of summation. */
function wholeNumbers(count: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 26) - 32;
  });
}

/** Scores of the k best vectors by the definition, [queries, k]. */
function bruteForce(queries: Float32Array, vectors: Float32Array, dimension: number, k: number): number[] {
  const rows = (values: Float32Array) =>
    Array.from({ length: values.length / dimension }, (_, i) => values.subarray(i * dimension, (i + 1) * dimension));
  return rows(queries).flatMap((query) => {
    const products = rows(vectors).map((vector) => vector.reduce((sum, value, i) => sum + value * query[i]!, 0));
    return products.sort((a, b) => b - a).slice(0, k);
  });
}

describe('faiss engine', () => {
  const engine = createFaissEngine();
  afterAll(() => engine.close());

  it.each([
    { queries: 1, k: 3 },
    { queries: 40, k: 150 },
  ])('finds what brute force finds: $queries queries, k = $k', async ({ queries: count, k }) => {
    const dimension = 9;
    const vectors = wholeNumbers(700 * dimension, 1);
    const queries = wholeNumbers(count * dimension, 2);
    const index = await engine.createIndex({ dimension });
    await index.add(vectors.subarray(0, 99 * dimension));
    await index.add(vectors.subarray(99 * dimension));
    expect(index.size).toBe(700);
    const { scores, positions } = await index.search(queries, k);
    expect([...scores]).toEqual(bruteForce(queries, vectors, dimension, k));
    for (const [i, position] of positions.entries()) {
      const query = Math.floor(i / k);
      let product = 0;
      for (let d = 0; d < dimension; d++)
        product += queries[query * dimension + d]! * vectors[position * dimension + d]!;
      expect(product).toBe(scores[i]);
    }
    await index.close();
  });

  it('mines the reference’s neighbours', async () => {
    const golden = readGoldenJson<{ mine_accuracy: Record<string, number> }>('knn');
    const bank = readGoldenNpy<Float32Array>('knn-bank');
    const index = await engine.createIndex({ dimension: bank.shape[1] ?? 0 });
    await index.add(bank.data);
    for (const k of Object.keys(golden.mine_accuracy).map(Number)) {
      const { positions } = await index.search(bank.data, k + 1);
      expect(BigInt64Array.from(positions, BigInt)).toEqual(readGoldenNpy<BigInt64Array>(`mine-top${k}`).data);
    }
  });

  it('gives fewer neighbours where it holds fewer, and moves up what follows a removed vector', async () => {
    const index = await engine.createIndex({ dimension: 1 });
    expect(await index.search(Float32Array.of(1), 5)).toMatchObject({ k: 0 });
    await index.add(Float32Array.of(1, 2, 3));
    await index.remove(Int32Array.of(1));
    const { k, scores, positions } = await index.search(Float32Array.of(1), 5);
    expect([k, [...scores], [...positions]]).toEqual([2, [3, 1], [1, 0]]);
    await index.reset();
    expect(index.size).toBe(0);
  });

  it('leaves the event loop free, reports progress and can be cancelled', async () => {
    const dimension = 128;
    const vectors = wholeNumbers(60_000 * dimension, 5);
    const index = await engine.createIndex({ dimension });
    await index.add(vectors);
    const abort = new AbortController();
    const steps: number[] = [];
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    const onProgress = (completed: number) => {
      steps.push(completed);
      if (steps.length === 2) abort.abort();
    };
    const search = index.search(vectors, 10, { signal: abort.signal, onProgress });
    await expect(search).rejects.toMatchObject({ code: 'CANCELLED' });
    clearInterval(timer);
    expect(steps).toHaveLength(2);
    // The search took long, and the event loop turned all the while.
    expect(turns).toBeGreaterThan(10);
  });

  it.each([
    {
      name: 'a length that is no multiple',
      run: async () => (await engine.createIndex({ dimension: 2 })).add(new Float32Array(3)),
    },
    {
      name: 'a query of another length',
      run: async () => (await engine.createIndex({ dimension: 2 })).search(new Float32Array(1), 1),
    },
    { name: 'k = 0', run: async () => (await engine.createIndex({ dimension: 2 })).search(new Float32Array(2), 0) },
    { name: 'dimension 0', run: () => engine.createIndex({ dimension: 0 }) },
  ])('refuses $name', async ({ run }) => {
    await expect(run()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

it('orders equal scores by position, row by row', () => {
  const positions = Int32Array.of(5, 3, 1, 9, 2, 0);
  orderTies(Float32Array.of(1, 1, 0, 2, 2, 2), positions, 3);
  expect([...positions]).toEqual([3, 5, 1, 0, 2, 9]);
});
