// The images of a run, in CIFAR-10's binary layout in a temporary folder, so that both sides read the same files.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openDataset, type Dataset } from '@kindred/datasets';

const side = 32;
const plane = side * side;

/** Where the images come from, and how many are wanted. */
export interface BenchmarkDataOptions {
  /** Folder that is written. */
  readonly folder: string;
  /** Folder with CIFAR-10's binary files; null: images drawn by formula. */
  readonly source: string | null;
  readonly train: number;
  readonly validation: number;
}

/** Writes the first images of each split; a source with fewer gives all that it has. Returns the training images' number. */
export async function writeBenchmarkData({ folder, source, train, validation }: BenchmarkDataOptions): Promise<number> {
  await mkdir(folder, { recursive: true });
  const open = (split: string, count: number): Promise<Dataset> =>
    source === null
      ? openDataset({ name: 'drawn', split, count, seed: 0 })
      : openDataset({ name: 'cifar-10', split, root: source });
  const images = await open('train', train);
  await writeFile(join(folder, 'data_batch_1.bin'), cifarRecords(images, train));
  await writeFile(join(folder, 'test_batch.bin'), cifarRecords(await open('val', validation), validation));
  return Math.min(train, images.size);
}

/** The first `count` images as records: a label byte, then the red, green and blue planes. */
export function cifarRecords(dataset: Pick<Dataset, 'size' | 'labels' | 'image'>, count: number): Uint8Array {
  const images = Math.min(count, dataset.size);
  const records = new Uint8Array(images * (1 + 3 * plane));
  for (let index = 0; index < images; index++) {
    const start = index * (1 + 3 * plane);
    records[start] = dataset.labels[index] ?? 0;
    const { data } = dataset.image(index);
    for (let pixel = 0; pixel < plane; pixel++) {
      for (let channel = 0; channel < 3; channel++) {
        records[start + 1 + channel * plane + pixel] = data[pixel * 3 + channel] ?? 0;
      }
    }
  }
  return records;
}
