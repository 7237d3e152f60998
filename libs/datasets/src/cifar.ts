// CIFAR-10 and CIFAR-100-20 in the binary layout of https://www.cs.toronto.edu/~kriz/cifar.html: any number of records a file.
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createImageTable } from './dataset.js';
import type { DatasetParts, ImageTable } from './dataset.js';
import { requiredRoot, throwIfAborted, unknownSplit } from './open-options.js';
import type { OpenDatasetOptions } from './open-options.js';
import { checkRecordFile, damagedFile, forEachSlice, locateFolder } from './record-files.js';
import type { RecordFile } from './record-files.js';

const side = 32;
const planeBytes = side * side;
const imageBytes = 3 * planeBytes;

/** How one of the CIFAR sets lies on disk. */
interface Layout {
  readonly folder: string;
  readonly train: RegExp;
  readonly test: RegExp;
  /** Label bytes before the pixels; the first one is the class. */
  readonly labelBytes: number;
  readonly namesFile: string;
  readonly classNames: readonly string[];
}

/** The ten classes of CIFAR-10 in label order. */
export const cifar10Classes = 'airplane automobile bird cat deer dog frog horse ship truck'.split(' ');

/** The twenty superclasses of CIFAR-100 in label order. */
export const cifar20Classes = [
  'aquatic_mammals', 'fish', 'flowers', 'food_containers', 'fruit_and_vegetables', 'household_electrical_devices',
  'household_furniture', 'insects', 'large_carnivores', 'large_man-made_outdoor_things', 'large_natural_outdoor_scenes',
  'large_omnivores_and_herbivores', 'medium_mammals', 'non-insect_invertebrates', 'people', 'reptiles', 'small_mammals',
  'trees', 'vehicles_1', 'vehicles_2',
]; // prettier-ignore

const layouts: Readonly<Record<'cifar-10' | 'cifar-20', Layout>> = {
  'cifar-10': {
    folder: 'cifar-10-batches-bin',
    train: /^data_batch_\d+\.bin$/,
    test: /^test_batch\.bin$/,
    labelBytes: 1,
    namesFile: 'batches.meta.txt',
    classNames: cifar10Classes,
  },
  'cifar-20': {
    folder: 'cifar-100-binary',
    train: /^train\.bin$/,
    test: /^test\.bin$/,
    labelBytes: 2,
    namesFile: 'coarse_label_names.txt',
    classNames: cifar20Classes,
  },
};

/** Splits of the CIFAR sets; `val` and `test` are the same images. */
export const cifarSplits = ['train', 'val', 'test'] as const;

/** Reads a CIFAR split; planes are rearranged to rows of RGB pixels. */
export async function readCifar(name: 'cifar-10' | 'cifar-20', options: OpenDatasetOptions): Promise<DatasetParts> {
  const { split, onProgress, signal } = options;
  if (!(cifarSplits as readonly string[]).includes(split)) throw unknownSplit(name, split, cifarSplits);
  const layout = layouts[name];
  const pattern = split === 'train' ? layout.train : layout.test;
  const folder = await locateFolder(
    requiredRoot(options),
    layout.folder,
    pattern,
    `${name} ${split} (${pattern.source})`,
  );
  const recordBytes = layout.labelBytes + imageBytes;
  const names = (await readdir(folder)).filter((file) => pattern.test(file)).sort(byNumber);
  const files: RecordFile[] = [];
  for (const file of names) files.push(await checkRecordFile(join(folder, file), recordBytes));
  const count = files.reduce((sum, { records }) => sum + records, 0);
  const classNames = await readClassNames(join(folder, layout.namesFile), layout.classNames);
  const table = createImageTable(count, () => ({ height: side, width: side }));
  let start = 0;
  for (const [i, file] of files.entries()) {
    throwIfAborted(signal, name);
    const base = start;
    await forEachSlice(file, recordBytes, (slice, first) => {
      takeRecords(slice, file.path, first, base + first, layout.labelBytes, classNames.length, table);
    });
    start += file.records;
    onProgress?.({ phase: 'read', done: i + 1, total: files.length });
  }
  return { name, split, classNames, table };
}

/** Class names, one a line; `fallback` when the file is not there. */
export async function readClassNames(path: string, fallback: readonly string[]): Promise<readonly string[]> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return fallback;
  const names = text.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== ''); // prettier-ignore
  if (names.length === fallback.length) return names;
  throw damagedFile(path, `got ${names.length} class names; expected ${fallback.length}, one a line`);
}

function takeRecords(
  slice: Uint8Array,
  path: string,
  firstInFile: number,
  firstInTable: number,
  labelBytes: number,
  classes: number,
  { pixels, labels }: ImageTable,
): void {
  const recordBytes = labelBytes + imageBytes;
  for (let record = 0; record * recordBytes < slice.length; record++) {
    const at = record * recordBytes;
    const label = slice[at] ?? 0;
    if (label >= classes) {
      throw damagedFile(path, `record ${firstInFile + record} has label ${label}; allowed: 0 to ${classes - 1}`);
    }
    labels[firstInTable + record] = label;
    let target = (firstInTable + record) * imageBytes;
    const red = at + labelBytes;
    for (let i = red; i < red + planeBytes; i++) {
      pixels[target++] = slice[i] as number;
      pixels[target++] = slice[i + planeBytes] as number;
      pixels[target++] = slice[i + 2 * planeBytes] as number;
    }
  }
}

function byNumber(a: string, b: string): number {
  return Number(/\d+/.exec(a)?.[0] ?? 0) - Number(/\d+/.exec(b)?.[0] ?? 0);
}
