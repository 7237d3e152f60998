import { describe, expect, it } from 'vitest';
import { sideBySide } from './side-by-side.js';

describe('sideBySide', () => {
  it.each([1, 3, 100])('keeps the order, with at most %i at one time', async (atOnce) => {
    let [under, most] = [0, 0];
    const work = async (item: number): Promise<number> => {
      most = Math.max(most, ++under);
      // The first ones take longest.
      for (let turn = 10; turn > item; turn--) await Promise.resolve();
      under--;
      return 2 * item;
    };
    const items = Array.from({ length: 10 }, (_, index) => index);
    expect(await sideBySide(items, atOnce, work)).toEqual(items.map((item) => 2 * item));
    expect(most).toBe(Math.min(atOnce, items.length));
  });

  it('passes on what goes wrong', async () => {
    await expect(sideBySide([1, 2], 2, (item) => Promise.reject(new Error(`item ${item}`)))).rejects.toThrow('item 1');
  });
});
