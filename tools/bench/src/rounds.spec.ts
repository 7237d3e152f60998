import { describe, expect, it } from 'vitest';
import { alternate, isDisturbed, median, unwatched, type Watch } from './rounds.js';

/** A machine on which others use these cores, one number a measurement. */
function watchOf(others: readonly (number | null)[]): Watch {
  let measured = 0;
  return { quiet: () => Promise.resolve(), begin: () => () => others[measured++] ?? 0 };
}

describe('median', () => {
  it('is the middle value, whatever the order', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 3, 100])).toBe(3.5);
    expect(median([])).toBeNaN();
  });
});

describe('alternate', () => {
  it('goes forth and back through the sides', async () => {
    const order: string[] = [];
    const side = (name: string, figure: number) => () => {
      order.push(name);
      return Promise.resolve(figure);
    };
    const sides = { ours: side('ours', 10), peer: side('peer', 5) };
    const results = await alternate(sides, { rounds: 3, watch: watchOf([]) });
    expect(order).toEqual(['ours', 'peer', 'peer', 'ours', 'ours', 'peer']);
    expect(results.ours.map(({ figure }) => figure)).toEqual([10, 10, 10]);
    expect(results.peer.map(({ figure }) => figure)).toEqual([5, 5, 5]);
  });

  it('repeats a round that others disturbed', async () => {
    let figure = 0;
    const seen: number[] = [];
    const { ours } = await alternate(
      { ours: () => Promise.resolve(++figure) },
      { rounds: 2, watch: watchOf([0.5, 0.02, 0]), onRound: (_side, _round, result) => seen.push(result.figure) },
    );
    expect(seen).toEqual([1, 2, 3]);
    expect(ours).toEqual([
      { figure: 2, othersCores: 0.02 },
      { figure: 3, othersCores: 0 },
    ]);
  });

  it('keeps the least disturbed of three tries, which stays marked', async () => {
    let figure = 0;
    const { ours } = await alternate(
      { ours: () => Promise.resolve(++figure) },
      { rounds: 1, watch: watchOf([1, 0.3, 2]) },
    );
    expect(ours).toEqual([{ figure: 2, othersCores: 0.3 }]);
    expect(ours.map(isDisturbed)).toEqual([true]);
  });

  it('measures once where nothing is known of others', async () => {
    let measured = 0;
    const { ours } = await alternate({ ours: () => Promise.resolve(++measured) }, { rounds: 1, watch: unwatched });
    expect(measured).toBe(1);
    expect(ours.map(isDisturbed)).toEqual([false]);
  });
});
