import { describe, expect, it } from 'vitest';
import { resizeCoefficients } from './resize-coefficients.js';
import { resizeTable } from './resize-table.js';

describe('resizeTable', () => {
  it.each([
    [20, 32, false],
    [20, 32, true],
    [32, 32, false],
    [375, 96, true],
    [50, 3, false],
    [1, 1, true],
  ])('holds the weights of %i to %i pixels, mirrored: %s', (from, to, mirrored) => {
    const { starts, counts, weights, taps } = resizeCoefficients(from, to);
    const { pairs, words } = resizeTable({ starts, counts, weights, taps }, mirrored);
    const entryWords = 1 + 2 * pairs;
    for (let output = 0; output < to; output++) {
      const entry = words.subarray(output * entryWords, (output + 1) * entryWords);
      const original = mirrored ? to - 1 - output : output;
      const read = Array.from({ length: 2 * pairs }, (_, tap) => {
        const shift = (tap % 2) * 16;
        const word = 1 + 2 * (tap >> 1);
        return ((entry[word]! >> shift) & 0xffff) * 2048 + ((entry[word + 1]! >> shift) & 0xffff);
      });
      const wanted = [...weights.subarray(original * taps, original * taps + counts[original]!)];
      expect(entry[0]).toBe(starts[original]);
      expect(read.slice(0, wanted.length)).toEqual(wanted);
      expect(read.slice(wanted.length).every((weight) => weight === 0)).toBe(true);
    }
    expect(words.length).toBe(Math.ceil(to / 4) * 4 * entryWords);
    expect(words.subarray(to * entryWords).every((word) => word === 0)).toBe(true);
  });
});
