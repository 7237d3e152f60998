import { temporaryFolder } from '@kindred/testing';
import { openDataset } from '@kindred/datasets';
import { describe, expect, it } from 'vitest';
import { unitVectors, writeBenchmarkData } from './benchmark-data.js';

describe('benchmark data', () => {
  it('is the drawn set, read back as CIFAR-10', async () => {
    const folder = temporaryFolder('bench-data');
    expect(await writeBenchmarkData({ folder, source: null, train: 20, validation: 10 })).toBe(20);
    const drawn = await openDataset({ name: 'drawn', split: 'train', count: 20, seed: 0 });
    const read = await openDataset({ name: 'cifar-10', split: 'train', root: folder });
    expect(read.size).toBe(20);
    expect([...read.labels]).toEqual([...drawn.labels]);
    expect(Buffer.compare(Buffer.from(read.image(7).data), Buffer.from(drawn.image(7).data))).toBe(0);
  });
});

describe('vectors', () => {
  it('have length 1 and no common direction', () => {
    const dimension = 16;
    const rows = 2000;
    const vectors = unitVectors(rows, dimension);
    const sum = new Float64Array(dimension);
    for (let row = 0; row < rows; row++) {
      const vector = vectors.subarray(row * dimension, (row + 1) * dimension);
      expect(Math.hypot(...vector)).toBeCloseTo(1, 6);
      for (const [i, value] of vector.entries()) sum[i]! += value;
    }
    // The sum of n random unit vectors has the length √n on average: a mean of 0.022 here.
    expect(Math.hypot(...sum) / rows).toBeLessThan(0.06);
  });
});
