// A data set in memory: every decoded image in one shared buffer, so that worker threads read it without a copy.
import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { KindredError } from '@kindred/errors';

/** One image: bytes of rows of RGB pixels, `data[(y * width + x) * 3 + channel]`. */
export interface RgbImage {
  readonly data: Uint8Array;
  readonly height: number;
  readonly width: number;
}

/**
 * All images of a split, over SharedArrayBuffers: `postMessage(table)` shares it with a worker thread instead of copying.
 * {@link imageAt} reads from it.
 */
export interface ImageTable {
  /** The images' bytes (height × width × RGB), one after another. */
  readonly pixels: Uint8Array;
  /** Where in `pixels` each image starts. */
  readonly offsets: Float64Array;
  readonly heights: Int32Array;
  readonly widths: Int32Array;
  /** Class of each image, an index into `classNames`; -1 for an image without a label. */
  readonly labels: Int32Array;
}

/** An opened split, resident until {@link Dataset.close}. */
export interface Dataset {
  /** As asked for, e.g. `cifar-10`. */
  readonly name: string;
  /** As asked for, e.g. `train`. */
  readonly split: string;
  /** Number of images. */
  readonly size: number;
  readonly classNames: readonly string[];
  /** Height of every image, or `null` when they differ. */
  readonly height: number | null;
  /** Width of every image, or `null` when they differ. */
  readonly width: number | null;
  /** Class of each image; -1 for an image without a label. */
  readonly labels: Int32Array;
  readonly table: ImageTable;
  /** SHA-256, in hex, of the class names, sizes, labels and pixels: the same images give the same hash in whatever files they came. */
  readonly contentHash: string;
  /** Image `index` as a view of the table; INVALID_ARGUMENT outside 0 … size - 1, FAILED_PRECONDITION after `close`. */
  image(index: number): RgbImage;
  /** Lets go of the memory; worker threads that hold the table keep theirs. */
  close(): void;
}

/** What an opened split is made of. */
export interface DatasetParts {
  readonly name: string;
  readonly split: string;
  readonly classNames: readonly string[];
  readonly table: ImageTable;
}

const hashSliceBytes = 8 * 1024 * 1024;

/** A table with room for images of the given sizes; labels are -1, pixels 0. */
export function createImageTable(
  count: number,
  sizeOf: (index: number) => { height: number; width: number },
): ImageTable {
  const offsets = new Float64Array(new SharedArrayBuffer(count * 8));
  const heights = new Int32Array(new SharedArrayBuffer(count * 4));
  const widths = new Int32Array(new SharedArrayBuffer(count * 4));
  const labels = new Int32Array(new SharedArrayBuffer(count * 4)).fill(-1);
  let bytes = 0;
  for (let i = 0; i < count; i++) {
    const { height, width } = sizeOf(i);
    offsets[i] = bytes;
    heights[i] = height;
    widths[i] = width;
    bytes += height * width * 3;
  }
  return { pixels: sharedBytes(bytes), offsets, heights, widths, labels };
}

/** Image `index` of a table, as a view; INVALID_ARGUMENT when there is no such image. Callable in any thread. */
export function imageAt({ pixels, offsets, heights, widths }: ImageTable, index: number): RgbImage {
  const offset = offsets[index];
  const height = heights[index];
  const width = widths[index];
  if (offset === undefined || height === undefined || width === undefined) {
    throw new KindredError('INVALID_ARGUMENT', `image: got index ${index}; allowed: 0 to ${offsets.length - 1}`);
  }
  return { data: pixels.subarray(offset, offset + height * width * 3), height, width };
}

/** Makes a {@link Dataset} of a filled table; hashes it in slices, so that the event loop goes on. */
export async function createDataset({ name, split, classNames, table }: DatasetParts): Promise<Dataset> {
  const contentHash = await hashTable(classNames, table);
  let open: ImageTable | null = table;
  const held = (): ImageTable => {
    if (open === null)
      throw new KindredError('FAILED_PRECONDITION', `data set '${name}' (${split}) is closed; open it again`);
    return open;
  };
  return {
    name,
    split,
    size: table.labels.length,
    classNames,
    height: commonValue(table.heights),
    width: commonValue(table.widths),
    contentHash,
    get labels() {
      return held().labels;
    },
    get table() {
      return held();
    },
    image: (index) => imageAt(held(), index),
    close: () => {
      open = null;
    },
  };
}

function sharedBytes(bytes: number): Uint8Array {
  try {
    return new Uint8Array(new SharedArrayBuffer(bytes));
  } catch (cause) {
    throw new KindredError(
      'RESOURCE_EXHAUSTED',
      `data set: no memory for ${bytes} bytes of decoded images; use fewer or smaller ones`,
      {
        cause,
      },
    );
  }
}

function commonValue(values: Int32Array): number | null {
  const first = values[0];
  return first !== undefined && values.every((value) => value === first) ? first : null;
}

async function hashTable(classNames: readonly string[], table: ImageTable): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([classNames, table.labels.length]));
  for (const part of [table.heights, table.widths, table.labels, table.pixels]) {
    const bytes = new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
    for (let at = 0; at < bytes.length; at += hashSliceBytes) {
      hash.update(bytes.subarray(at, at + hashSliceBytes));
      await nextTurn();
    }
  }
  return hash.digest('hex');
}
