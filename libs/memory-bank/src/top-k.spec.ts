import { describe, expect, it } from 'vitest';
import { createTopK, exactTopK, weightedKnn } from './index.js';

/** Whole numbers make inner products exact, so that ties are real ties. */
function wholeNumbers(count: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 28) - 8;
  });
}

describe('top-k by blocks', () => {
  it.each([
    { queries: 1, vectors: 3, dimension: 1, k: 5 },
    { queries: 7, vectors: 1300, dimension: 5, k: 20 },
    { queries: 6, vectors: 513, dimension: 16, k: 513 },
    { queries: 5, vectors: 100, dimension: 3, k: 1 },
  ])('is the slow reference, ties included: $queries queries, $vectors x $dimension, k = $k', (shape) => {
    const { dimension, k } = shape;
    const queries = wholeNumbers(shape.queries * dimension, 1);
    const vectors = wholeNumbers(shape.vectors * dimension, 2);
    const collected = createTopK({ queries, dimension, k });
    const half = Math.floor(shape.vectors / 2) * dimension;
    collected.add(vectors.subarray(0, half));
    collected.add(vectors.subarray(half));
    expect(collected.result()).toEqual(exactTopK({ queries, dimension, k }, vectors));
  });

  it('answers with nothing before anything was added', () => {
    expect(createTopK({ queries: Float32Array.of(1), dimension: 1, k: 3 }).result()).toMatchObject({
      queries: 1,
      k: 0,
    });
  });

  it('refuses a length that is no multiple of the dimension', () => {
    const collected = createTopK({ queries: new Float32Array(4), dimension: 2, k: 1 });
    expect(() => collected.add(new Float32Array(3))).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});

it('classifies 2,000 queries with a bank of 10,000 x 128 fast enough to do so after each epoch', () => {
  const bank = wholeNumbers(10_000 * 128, 3).map((value) => value / 8);
  const labels = Int32Array.from({ length: 10_000 }, (_, i) => i % 10);
  const queries = wholeNumbers(2_000 * 128, 4).map((value) => value / 8);
  const start = performance.now();
  weightedKnn({ bank, labels, queries, classes: 10 });
  const seconds = (performance.now() - start) / 1000;
  process.stdout.write(`weighted kNN 2,000 x 10,000 x 128: ${seconds.toFixed(2)} s\n`);
  // Two seconds on a free core; the bound leaves room for a machine that is busy with other tests.
  expect(seconds).toBeLessThan(8);
});
