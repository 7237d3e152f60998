import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openDataset } from '@kindred/datasets';
import { temporaryFolder } from '@kindred/testing';
import { expect, it } from 'vitest';
import { estimateBytes } from './dataset-size.js';
import { openDatasetBytes } from './open-dataset.js';

const root = temporaryFolder('dataset-size');
const key = { name: 'drawn', split: 'train', root: '', drawnSize: 30, drawnSeed: 0 } as const;

it('tells what a drawn set and binary files take, within a hundredth, and nothing of folders', async () => {
  const within = (estimate: number, bytes: number): void => {
    expect(estimate / bytes).toBeGreaterThan(0.99);
    expect(estimate / bytes).toBeLessThan(1.01);
  };
  within(await estimateBytes(key), openDatasetBytes(await openDataset({ name: 'drawn', split: 'train', count: 30 })));
  const inner = join(root, 'cifar-10-batches-bin');
  mkdirSync(inner);
  for (const name of [1, 2, 3, 4, 5].map((n) => `data_batch_${n}.bin`)) {
    writeFileSync(join(inner, name), new Uint8Array(4 * 3073));
  }
  writeFileSync(join(inner, 'test_batch.bin'), new Uint8Array(3073));
  const cifar = { ...key, name: 'cifar-10', root };
  const opened = await openDataset({ name: 'cifar-10', split: 'train', root });
  within(await estimateBytes(cifar), openDatasetBytes(opened));
  expect(await estimateBytes({ ...cifar, split: 'validation' })).toBe(3073);
  expect(await estimateBytes({ ...cifar, name: 'folder' })).toBe(0);
});
