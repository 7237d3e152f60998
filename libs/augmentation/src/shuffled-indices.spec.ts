import { describe, expect, it } from 'vitest';
import { shuffledIndices } from './shuffled-indices.js';

describe('shuffledIndices', () => {
  it.each([0, 1, 2, 1000, 65_537])('holds each of %i indices once', (n) => {
    expect([...shuffledIndices(n, 1, 0)].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
  });

  it('depends on seed and epoch, and on nothing else', () => {
    const order = shuffledIndices(500, 9n, 2);
    expect(shuffledIndices(500, 9, 2)).toEqual(order);
    expect(shuffledIndices(500, 9, 3)).not.toEqual(order);
    expect(shuffledIndices(500, 10, 2)).not.toEqual(order);
  });

  it('stays what it was when runs were recorded', () => {
    expect([...shuffledIndices(12, 1, 0)]).toEqual([3, 10, 11, 4, 7, 0, 9, 1, 8, 2, 6, 5]);
  });

  it('puts each index in each place equally often', () => {
    const counts = new Float64Array(64);
    for (let epoch = 0; epoch < 8000; epoch++)
      shuffledIndices(8, 5, epoch).forEach((index, place) => counts[index * 8 + place]!++);
    // 1,000 expected each, standard deviation 30.
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  it('names n when it is out of range', () => {
    expect(() => shuffledIndices(-1, 0, 0)).toThrow(/^n: got -1/);
  });
});
