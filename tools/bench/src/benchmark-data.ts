// What a run works on, in files of a temporary folder, so that both sides read the same: images in CIFAR-10's binary layout, vectors.
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

/** Vectors of unit length with random directions, [rows, dimension]: the same ones each time. */
export function unitVectors(rows: number, dimension: number): Float32Array {
  let state = 1;
  const uniform = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  // Box and Muller's normal numbers have no preferred direction.
  const normal = (): number => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  const vectors = new Float32Array(rows * dimension);
  for (let start = 0; start < vectors.length; start += dimension) {
    const vector = Float64Array.from({ length: dimension }, normal);
    const length = Math.hypot(...vector);
    vectors.set(
      vector.map((value) => value / length),
      start,
    );
  }
  return vectors;
}
