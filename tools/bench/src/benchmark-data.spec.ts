import { temporaryFolder } from '@kindred/testing';
import { openDataset } from '@kindred/datasets';
import { describe, expect, it } from 'vitest';
import { writeBenchmarkData } from './benchmark-data.js';

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
