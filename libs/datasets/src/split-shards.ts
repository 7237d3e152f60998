// A dataset split cut into shards, as files (folders) or as pixels (the sets in binary files), in the order of its images.
import { encodeShard, encodeSplitIndex } from './dataset-shard.js';
import { decodeImage } from './decode-images.js';
import { withFolderImages, type FolderImages } from './folder.js';
import { forEachBounded } from './for-each-bounded.js';
import { openDataset } from './open-dataset.js';
import type { OpenDatasetOptions } from './open-options.js';

/** A split on its way into shards. */
export interface SplitShards {
  readonly encoding: 'encoded' | 'raw';
  readonly classNames: readonly string[];
  /** Images in the split. */
  readonly total: number;
  /** One after the other; each in memory only until the next is asked for. */
  readonly shards: AsyncIterable<{ readonly bytes: Uint8Array; readonly images: number }>;
  /** Once all shards were taken: the split's index, and the bytes of all its pixels. */
  finish(): { readonly index: Uint8Array; readonly pixelBytes: number };
}

type Take<T> = (split: SplitShards) => Promise<T>;

/** Images whose bytes are in memory at a time while they are read and decoded. */
const imagesAtATime = 64;

/** Hands a split of a folder to `take`, with the files as they are. A shard is full with the image that takes it past `shardBytes`. */
export function encodedSplit<T>(options: OpenDatasetOptions, shardBytes: number, take: Take<T>): Promise<T> {
  return withFolderImages(options, async (images) => {
    const total = images.sources.length;
    const heights = new Int32Array(total);
    const widths = new Int32Array(total);
    const labels = Int32Array.from(images.labels);
    const measure = (at: number, height: number, width: number): void => {
      heights[at] = height;
      widths[at] = width;
    };
    return take({
      encoding: 'encoded',
      classNames: images.classNames,
      total,
      shards: encodedShards(images, shardBytes, options.signal, measure),
      finish: () => ({
        index: encodeSplitIndex({ labels, heights, widths }),
        pixelBytes: pixelBytesOf(heights, widths),
      }),
    });
  });
}

async function* encodedShards(
  { sources, labels, classNames }: FolderImages,
  shardBytes: number,
  signal: AbortSignal | undefined,
  measure: (at: number, height: number, width: number) => void,
): SplitShards['shards'] & AsyncGenerator<{ bytes: Uint8Array; images: number }> {
  let files: Uint8Array[] = [];
  let paths: string[] = [];
  let bytes = 0;
  const shard = () => {
    const full = { bytes: encodeShard({ kind: 'encoded', files, paths }), images: files.length };
    files = [];
    paths = [];
    bytes = 0;
    return full;
  };
  for (let start = 0; start < sources.length; start += imagesAtATime) {
    const some = sources.slice(start, start + imagesAtATime);
    const read: Uint8Array[] = [];
    await forEachBounded(some, { signal }, async (source, i) => {
      const file = await source.read();
      const { height, width } = await decodeImage(file, source.path);
      measure(start + i, height, width);
      read[i] = file;
    });
    for (const [i, file] of read.entries()) {
      files.push(file);
      paths.push(`${classNames[labels[start + i] ?? 0] ?? ''}/${some[i]?.relativePath.split('/').at(-1) ?? ''}`);
      bytes += file.length;
      if (bytes >= shardBytes) yield shard();
    }
  }
  if (files.length > 0) yield shard();
}

/** Hands a split of a set in binary files to `take`, as pixels. */
export async function rawSplit<T>(options: OpenDatasetOptions, shardBytes: number, take: Take<T>): Promise<T> {
  const dataset = await openDataset(options);
  const { size, classNames, table } = dataset;
  const [height = 1] = table.heights;
  const [width = 1] = table.widths;
  const imageBytes = height * width * 3;
  const perShard = Math.max(1, Math.floor(shardBytes / imageBytes));
  async function* shards() {
    for (let first = 0; first < size; first += perShard) {
      const count = Math.min(perShard, size - first);
      const pixels = table.pixels.subarray(first * imageBytes, (first + count) * imageBytes);
      yield { bytes: encodeShard({ kind: 'raw', count, height, width, pixels }), images: count };
    }
  }
  const finish = () => ({ index: encodeSplitIndex(table), pixelBytes: table.pixels.length });
  try {
    return await take({ encoding: 'raw', classNames, total: size, shards: shards(), finish });
  } finally {
    dataset.close();
  }
}

function pixelBytesOf(heights: Int32Array, widths: Int32Array): number {
  return heights.reduce((sum, height, i) => sum + height * (widths[i] ?? 0) * 3, 0);
}
