// The drawn set: the same from the same seed, balanced, and not readable from colour.
import { describe, expect, it } from 'vitest';
import { openDataset } from './index.js';

const open = (seed: number, split = 'train', count = 400) => openDataset({ name: 'drawn', split, seed, count });

describe('drawn', () => {
  it('depends on seed and split alone, not on how many images are asked for', async () => {
    const [a, b, other, val, longer] = await Promise.all([
      open(1),
      open(1),
      open(2),
      open(1, 'val'),
      open(1, 'train', 500),
    ]);
    expect(b.contentHash).toBe(a.contentHash);
    expect(other.contentHash).not.toBe(a.contentHash);
    expect(val.contentHash).not.toBe(a.contentHash);
    expect(longer.image(399).data).toEqual(a.image(399).data);
    expect(new Set(a.labels).size).toBe(a.classNames.length);
  });

  it('is not told apart by mean colour: nearest class mean stays near chance', async () => {
    const [train, val] = await Promise.all([open(3, 'train', 1000), open(3, 'val', 1000)]);
    const meansOf = (dataset: typeof train): number[][] =>
      Array.from({ length: dataset.size }, (_, i) => {
        const sums = [0, 0, 0];
        dataset.image(i).data.forEach((value, j) => (sums[j % 3]! += value / 1024));
        return sums;
      });
    const classMeans = train.classNames.map(() => [0, 0, 0]);
    meansOf(train).forEach((mean, i) => mean.forEach((value, c) => (classMeans[train.labels[i]!]![c]! += value / 100)));
    const distance = (a: number[], b: number[]): number => a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0);
    const right = meansOf(val).filter((mean, i) => {
      const all = classMeans.map((center) => distance(mean, center));
      return all.indexOf(Math.min(...all)) === val.labels[i];
    });
    expect((100 * right.length) / val.size).toBeLessThan(20);
  });

  it('refuses a count that makes no sense', async () => {
    await expect(open(1, 'train', 0)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
