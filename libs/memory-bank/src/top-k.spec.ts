// The definition itself, on numbers worked out by hand.
import { describe, expect, it } from 'vitest';
import { exactTopK } from './index.js';

describe('exactTopK', () => {
  const vectors = Float32Array.of(1, 0, 0, 2, 1, 0, -1, 1);

  it('puts the largest inner product first, and of equal ones the first vector', () => {
    const queries = Float32Array.of(1, 0, 0, 1);
    expect(exactTopK({ queries, dimension: 2, k: 3 }, vectors)).toEqual({
      queries: 2,
      k: 3,
      scores: Float32Array.of(1, 1, 0, 2, 1, 0),
      positions: Int32Array.of(0, 2, 1, 1, 3, 0),
    });
  });

  it('gives all vectors where there are fewer than k, and none where there are none', () => {
    const queries = Float32Array.of(1, 0);
    expect([...exactTopK({ queries, dimension: 2, k: 9 }, vectors).positions]).toEqual([0, 2, 1, 3]);
    expect(exactTopK({ queries, dimension: 2, k: 9 }, new Float32Array(0))).toMatchObject({ queries: 1, k: 0 });
  });

  it.each([
    { queries: new Float32Array(3), dimension: 2, k: 1 },
    { queries: new Float32Array(2), dimension: 0, k: 1 },
    { queries: new Float32Array(2), dimension: 2, k: 0 },
  ])('refuses $dimension numbers a vector, k = $k', (options) => {
    expect(() => exactTopK(options, vectors)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});
