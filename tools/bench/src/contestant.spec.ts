import { describe, expect, it } from 'vitest';
import { rateOf } from './contestant.js';

describe('rateOf', () => {
  it('divides items by seconds', () => {
    expect(rateOf({ seconds: 4, items: 20, peakMiB: null })).toBe(5);
  });

  it.each([
    { seconds: 0, items: 1 },
    { seconds: 1, items: 0 },
  ])('refuses a side that did nothing: %o', (result) => {
    expect(() => rateOf({ ...result, peakMiB: null })).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });
});
