import { describe, expect, it } from 'vitest';
import type { Contestant } from './contestant.js';
import { alternate, median } from './rounds.js';

describe('median', () => {
  it('is the middle value, whatever the order', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 3, 100])).toBe(3.5);
    expect(median([])).toBeNaN();
  });
});

describe('alternate', () => {
  const order: string[] = [];
  const side = (name: string, seconds: number, items = 10): Contestant => ({
    versions: {},
    round: (steps) => {
      order.push(name);
      return Promise.resolve({ seconds, items: items * steps });
    },
    close: () => Promise.resolve(),
  });

  it('goes forth and back through the sides and divides items by seconds', async () => {
    const rates = await alternate({ ours: side('ours', 2), peer: side('peer', 4) }, { rounds: 3, steps: 2 });
    expect(order).toEqual(['ours', 'peer', 'peer', 'ours', 'ours', 'peer']);
    expect(rates).toEqual({ ours: [10, 10, 10], peer: [5, 5, 5] });
  });

  it('refuses a side that did nothing', async () => {
    await expect(alternate({ ours: side('ours', 1, 0) }, { rounds: 1, steps: 1 })).rejects.toMatchObject({
      code: 'INTERNAL',
    });
  });
});
