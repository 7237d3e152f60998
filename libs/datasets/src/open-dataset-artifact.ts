// Opens a split of a dataset that was pushed to an artifact store: its shards one after the other, into one table.
import { datasetShardKey, type DatasetFile, type DatasetSet, type DatasetSetSplit } from '@kindred/lineage';
import { createDataset, createImageTable, type Dataset, type ImageTable } from './dataset.js';
import { damagedShard, decodeShard, decodeSplitIndex } from './dataset-shard.js';
import { decodeImage } from './decode-images.js';
import { forEachBounded } from './for-each-bounded.js';
import { throwIfAborted, unknownSplit, type OpenDatasetOptions } from './open-options.js';

/** What {@link openDatasetArtifact} takes. */
export interface OpenDatasetArtifactOptions extends Pick<
  OpenDatasetOptions,
  'name' | 'split' | 'concurrency' | 'signal'
> {
  readonly set: DatasetSet;
  /** Gives the content of a file of the set, checked against its hash. */
  readonly fetch: (file: DatasetFile) => Promise<Uint8Array>;
}

/** The splits of a set that `split` stands for, in order; a set without unlabelled images has none in `train+unlabeled`. */
export function splitsOfSet(set: DatasetSet, name: string, split: string): DatasetSetSplit[] {
  const wanted = split === 'test' ? ['val'] : split.split('+');
  const found = wanted.map((part) => set.splits[part]).filter((part) => part !== undefined);
  if (found.length === 0 || set.splits[wanted[0] as string] === undefined)
    throw unknownSplit(name, split, Object.keys(set.splits));
  return found;
}

/**
 * Reads a whole split into memory, as `openDataset` does: the same images in the same order, so that whatever is made of
 * them is the same to the bit. NOT_FOUND for an unknown split, DATA_LOSS for a shard that does not hold together.
 */
export async function openDatasetArtifact(options: OpenDatasetArtifactOptions): Promise<Dataset> {
  const { name, split, set, fetch } = options;
  const parts = splitsOfSet(set, name, split);
  const indexes = [];
  for (const { index, images } of parts)
    indexes.push(decodeSplitIndex(await fetch(index), datasetShardKey(index.sha256), images));
  const heights = indexes.flatMap((index) => [...index.heights]);
  const widths = indexes.flatMap((index) => [...index.widths]);
  const table = createImageTable(heights.length, (i) => ({ height: heights[i] ?? 0, width: widths[i] ?? 0 }));
  table.labels.set(indexes.flatMap((index) => [...index.labels]));
  let first = 0;
  for (const part of parts) {
    await fillFrom(part, table, first, options);
    first += part.images;
  }
  return createDataset({ name, split, classNames: parts[0]?.classNames ?? [], table });
}

/** Fills the table with a split's images from position `first` on; the next shard is on its way while one is decoded. */
async function fillFrom(
  { shards }: DatasetSetSplit,
  table: ImageTable,
  first: number,
  { name, fetch, concurrency, signal }: OpenDatasetArtifactOptions,
): Promise<void> {
  const fetchNext = (i: number): Promise<Uint8Array> | null => {
    const shard = shards[i];
    if (shard === undefined) return null;
    const fetching = fetch(shard);
    // Its error is met when its turn comes; until then it must not count as unhandled.
    fetching.catch(() => {});
    return fetching;
  };
  let next = fetchNext(0);
  let start = first;
  for (const [i, shard] of shards.entries()) {
    throwIfAborted(signal, name);
    const bytes = (await next) as Uint8Array;
    next = fetchNext(i + 1);
    const key = datasetShardKey(shard.sha256);
    const images = decodeShard(bytes, key, shard.images);
    const place = (at: number, data: Uint8Array): void => {
      const expected = (table.heights[at] ?? 0) * (table.widths[at] ?? 0) * 3;
      if (data.length !== expected)
        throw damagedShard(key, `image ${at} has ${data.length} bytes of pixels, not ${expected}`);
      table.pixels.set(data, table.offsets[at]);
    };
    if (images.kind === 'raw') {
      const imageBytes = images.height * images.width * 3;
      for (let n = 0; n < images.count; n++)
        place(start + n, images.pixels.subarray(n * imageBytes, (n + 1) * imageBytes));
    } else {
      await forEachBounded(images.files, { concurrency, signal }, async (file, n) => {
        place(start + n, (await decodeImage(file, `${name}: ${images.paths[n] ?? ''}`)).data);
      });
    }
    start += shard.images;
  }
}
