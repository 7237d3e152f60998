// What a dataset will take in memory, told from its arguments and the sizes of its files before it is opened.
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { drawnDefaultCount } from '@kindred/datasets';
import type { DatasetKey } from './dataset-key.js';

/** Bytes of a drawn image in memory: 32 × 32 × 3 pixels, its place, size and label. */
const drawnImageBytes = 32 * 32 * 3 + 20;

/** Files whose bytes become pixels one by one, by dataset and split. */
const binaryFiles: Readonly<Record<string, Readonly<Record<DatasetKey['split'], RegExp>>>> = {
  'cifar-10': binary(/^data_batch_\d+\.bin$/, /^test_batch\.bin$/, /^$/),
  'cifar-20': binary(/^train\.bin$/, /^test\.bin$/, /^$/),
  'stl-10': binary(/^train_X\.bin$/, /^test_X\.bin$/, /^unlabeled_X\.bin$/),
};

/** Bytes, at least, that a split will take in memory; 0 where only opening can tell (folders, missing files). */
export async function estimateBytes({ name, split, root, drawnSize }: DatasetKey): Promise<number> {
  if (name === 'drawn') return (drawnSize === 0 ? drawnDefaultCount.train : drawnSize) * drawnImageBytes;
  const pattern = binaryFiles[name]?.[split];
  if (pattern === undefined) return 0;
  const inner = await readdir(root, { withFileTypes: true }).catch(() => []);
  let bytes = 0;
  for (const folder of [root, ...inner.filter((entry) => entry.isDirectory()).map((entry) => join(root, entry.name))]) {
    const names = (await readdir(folder).catch(() => [] as string[])).filter((file) => pattern.test(file));
    for (const file of names) bytes += (await stat(join(folder, file)).catch(() => null))?.size ?? 0;
    if (bytes > 0) return bytes;
  }
  return bytes;
}

function binary(train: RegExp, validation: RegExp, unlabeled: RegExp): Record<DatasetKey['split'], RegExp> {
  return { train, validation, unlabeled, 'train+unlabeled': new RegExp(`${train.source}|${unlabeled.source}`) };
}
