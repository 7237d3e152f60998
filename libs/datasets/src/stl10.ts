// STL-10 in its binary layout (https://cs.stanford.edu/~acoates/stl10/): 96×96, planes of columns, labels from 1 in a file beside.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readClassNames } from './cifar.js';
import { createImageTable } from './dataset.js';
import type { DatasetParts } from './dataset.js';
import { requiredRoot, throwIfAborted, unknownSplit } from './open-options.js';
import type { OpenDatasetOptions } from './open-options.js';
import { checkRecordFile, damagedFile, forEachSlice, locateFolder } from './record-files.js';

const side = 96;
const planeBytes = side * side;
const imageBytes = 3 * planeBytes;

/** The ten classes of STL-10 in label order. */
export const stl10Classes = 'airplane bird car cat deer dog horse monkey ship truck'.split(' ');

/** Splits of STL-10; `val` and `test` are the same images. */
export const stl10Splits = ['train', 'val', 'test', 'unlabeled', 'train+unlabeled'] as const;

/** Image file and label file of each part; unlabeled images get label -1. */
const parts = {
  train: ['train_X.bin', 'train_y.bin'],
  test: ['test_X.bin', 'test_y.bin'],
  unlabeled: ['unlabeled_X.bin', null],
} as const;

/** Reads an STL-10 split; columns of planes are rearranged to rows of RGB pixels. */
export async function readStl10(options: OpenDatasetOptions): Promise<DatasetParts> {
  const { name, split, onProgress, signal } = options;
  if (!(stl10Splits as readonly string[]).includes(split)) throw unknownSplit(name, split, stl10Splits);
  const wanted = split === 'val' ? ['test' as const] : (split.split('+') as (keyof typeof parts)[]);
  const folder = await locateFolder(requiredRoot(options), 'stl10_binary', /^(train|test|unlabeled)_X\.bin$/, name);
  const classNames = await readClassNames(join(folder, 'class_names.txt'), stl10Classes);
  const files = [];
  for (const part of wanted) {
    const [images, labelFile] = parts[part];
    const file = await checkRecordFile(join(folder, images), imageBytes);
    const labels =
      labelFile === null ? null : await readLabels(join(folder, labelFile), file.records, classNames.length);
    files.push({ file, labels });
  }
  const count = files.reduce((sum, { file }) => sum + file.records, 0);
  const table = createImageTable(count, () => ({ height: side, width: side }));
  let start = 0;
  for (const { file, labels } of files) {
    if (labels !== null) table.labels.set(labels, start);
    const base = start;
    await forEachSlice(file, imageBytes, (slice, first) => {
      throwIfAborted(signal, name);
      transposeColumns(slice, table.pixels, (base + first) * imageBytes);
      onProgress?.({ phase: 'read', done: base + first + slice.length / imageBytes, total: count });
    });
    start += file.records;
  }
  return { name, split, classNames, table };
}

async function readLabels(path: string, images: number, classes: number): Promise<Int32Array> {
  const { records } = await checkRecordFile(path, 1);
  if (records !== images) throw damagedFile(path, `got ${records} labels; expected ${images}, one an image`);
  return Int32Array.from(await readFile(path), (label, i) => {
    if (label >= 1 && label <= classes) return label - 1;
    throw damagedFile(path, `record ${i} has label ${label}; allowed: 1 to ${classes}`);
  });
}

function transposeColumns(slice: Uint8Array, pixels: Uint8Array, start: number): void {
  for (let image = 0; image < slice.length; image += imageBytes) {
    for (let y = 0; y < side; y++) {
      let target = start + image + y * side * 3;
      for (let source = image + y; source < image + planeBytes; source += side) {
        pixels[target++] = slice[source] as number;
        pixels[target++] = slice[source + planeBytes] as number;
        pixels[target++] = slice[source + 2 * planeBytes] as number;
      }
    }
  }
}
