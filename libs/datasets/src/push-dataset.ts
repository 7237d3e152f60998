// Puts a dataset into an artifact store: shards named by their content, so that nothing is uploaded twice.
import { createHash, randomUUID } from 'node:crypto';
import { KindredError, isKindredError } from '@kindred/errors';
import {
  checkedDatasetName,
  codeVersion,
  datasetPushPrefix,
  datasetSetKey,
  datasetSetSchema,
  datasetShardKey,
  updateManifest,
  type DatasetFile,
  type DatasetSet,
  type LineageStore,
  type ManifestFile,
} from '@kindred/lineage';
import { throwIfAborted } from './open-options.js';
import { encodedSplit, rawSplit, type SplitShards } from './split-shards.js';

/** What {@link pushDataset} takes. */
export interface PushDatasetOptions {
  /** Name that it can be used by, `artifact:NAME`. */
  readonly name: string;
  /** Which of our forms it is read from. */
  readonly form: 'folder' | 'cifar-10' | 'cifar-20' | 'stl-10';
  /** Folder (or for `folder` also .zip file) that holds it. */
  readonly root: string;
  /** Bytes of images in a shard; another size gives other shards. @default 67_108_864 */
  readonly shardBytes?: number;
  readonly onProgress?: (progress: PushProgress) => void;
  /** Ends the work with CANCELLED; pushing again goes on where it ended. */
  readonly signal?: AbortSignal;
}

/** How far a push is. */
export interface PushProgress {
  readonly split: string;
  readonly images: number;
  readonly total: number;
  /** Bytes that were sent; what was there already does not count. */
  readonly uploadedBytes: number;
}

/** What was pushed. */
export interface PushedDataset {
  /** SHA-256 of the description: the dataset's identity. */
  readonly sha256: string;
  readonly set: DatasetSet;
  /** Files of the dataset that were there already. */
  readonly reusedFiles: number;
  readonly uploadedFiles: number;
  readonly uploadedBytes: number;
}

/** Splits that are pushed, as far as a dataset has them; the first must be there. */
const splitNames: Record<PushDatasetOptions['form'], readonly [string, ...string[]]> = {
  folder: ['train', 'val'],
  'cifar-10': ['train', 'val'],
  'cifar-20': ['train', 'val'],
  'stl-10': ['train', 'val', 'unlabeled'],
};
const defaultShardBytes = 64 * 1024 * 1024;
/** A note of a push counts for a day; a longer push writes it anew. */
const noteEveryMs = 3_600_000;

/**
 * Pushes a dataset, and gives it its name in one step once all of it is there. Each image is decoded once, so that a broken
 * one is found here: DATA_LOSS names it. Errors otherwise as `openDataset` and the store's.
 */
export async function pushDataset(store: LineageStore, options: PushDatasetOptions): Promise<PushedDataset> {
  const name = checkedDatasetName(options.name, 'name');
  const note = createNote(store, name);
  const count = { reusedFiles: 0, uploadedFiles: 0, uploadedBytes: 0 };
  /** Uploads a file of the dataset unless it is there. */
  const upload = async (bytes: Uint8Array, key: (sha256: string) => string): Promise<DatasetFile> => {
    throwIfAborted(options.signal, name);
    await note.write();
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    if (await putAbsent(store, key(sha256), bytes, sha256)) {
      count.uploadedFiles++;
      count.uploadedBytes += bytes.length;
    } else count.reusedFiles++;
    return { sha256, size: bytes.length };
  };
  try {
    const splits: DatasetSet['splits'] = {};
    for (const split of splitNames[options.form]) {
      const pushed = await pushSplit(split, options, (bytes) => upload(bytes, datasetShardKey), count);
      if (pushed !== null) splits[split] = pushed;
    }
    const set = datasetSetSchema.parse({ schemaVersion: 1, form: options.form, splits });
    const description = await upload(new TextEncoder().encode(`${JSON.stringify(set)}\n`), datasetSetKey);
    const files = filesOf(description, set);
    await checkThere(store, files);
    await nameSet(store, name, description.sha256, set, files);
    // From here on its name keeps it: whatever has judged it without one has deleted it by now, or leaves it.
    await checkThere(store, files);
    return { sha256: description.sha256, set, ...count };
  } finally {
    await note.remove();
  }
}

/** Pushes one split; null where the dataset does not have it. */
async function pushSplit(
  split: string,
  options: PushDatasetOptions,
  upload: (bytes: Uint8Array) => Promise<DatasetFile>,
  count: { readonly uploadedBytes: number },
): Promise<DatasetSet['splits'][string] | null> {
  const { form, root, shardBytes = defaultShardBytes, onProgress, signal } = options;
  const read = form === 'folder' ? encodedSplit : rawSplit;
  let done = 0;
  const take = async ({ shards, total, ...facts }: SplitShards): Promise<DatasetSet['splits'][string]> => {
    const uploaded = [];
    for await (const { bytes, images } of shards) {
      uploaded.push({ ...(await upload(bytes)), images });
      done += images;
      onProgress?.({ split, images: done, total, uploadedBytes: count.uploadedBytes });
    }
    // Known only now: sizes are read while the shards are made.
    const { index, pixelBytes } = facts.finish();
    const { encoding, classNames } = facts;
    return {
      encoding,
      images: total,
      pixelBytes,
      classNames: [...classNames],
      index: await upload(index),
      shards: uploaded,
    };
  };
  try {
    return await read({ name: form, split, root, signal }, shardBytes, take);
  } catch (thrown) {
    // Of folders only the training split must be there.
    if (form === 'folder' && split !== 'train' && isKindredError(thrown, 'NOT_FOUND')) return null;
    throw thrown;
  }
}

/** Puts an object unless it is there; whether it was put. */
async function putAbsent(store: LineageStore, key: string, bytes: Uint8Array, sha256: string): Promise<boolean> {
  const found = await store.describe(key);
  // One of another size was cut short by something: it is replaced.
  if (found !== null && found.size === bytes.length) return false;
  await store.put(key, bytes, { sha256 });
  return true;
}

function filesOf(description: DatasetFile, set: DatasetSet): ManifestFile[] {
  const shards = Object.values(set.splits).flatMap((split) => [split.index, ...split.shards]);
  // The same bytes may stand in two splits.
  const byKey = new Map(shards.map(({ sha256, size }) => [datasetShardKey(sha256), { sha256, size }]));
  const files = [...byKey].map(([key, file]) => ({ key, ...file }));
  return [{ key: datasetSetKey(description.sha256), ...description }, ...files];
}

/** A shard that was there at first may have been deleted since, by a person or as garbage. */
async function checkThere(store: LineageStore, files: readonly ManifestFile[]): Promise<void> {
  for (const { key } of files) {
    if ((await store.describe(key)) !== null) continue;
    throw new KindredError('ABORTED', `${key} was deleted while the dataset was pushed; push it again`, {
      resource: { type: 'artifact', name: key },
    });
  }
}

async function nameSet(
  store: LineageStore,
  name: string,
  sha256: string,
  set: DatasetSet,
  files: ManifestFile[],
): Promise<void> {
  const producer = { program: 'kindred dataset push', version: await codeVersion() };
  const metrics = Object.fromEntries(
    Object.entries(set.splits).map(([split, { images }]) => [`${split}_images`, images]),
  );
  const config = { set: sha256, form: set.form };
  const manifest = { kind: 'dataset', id: name, producer, inputs: [], config, seed: null, metrics, files } as const;
  await updateManifest(store, 'dataset', name, () => ({ ...manifest, inputs: [], files }));
}

/** The note that keeps garbage collection away from shards while they have no dataset yet. */
function createNote(store: Pick<LineageStore, 'put' | 'delete'>, name: string) {
  const key = `${datasetPushPrefix}${randomUUID()}.json`;
  let written = -Infinity;
  return {
    async write(): Promise<void> {
      if (performance.now() - written < noteEveryMs) return;
      await store.put(key, new TextEncoder().encode(`${JSON.stringify({ name, writtenAt: new Date() })}\n`));
      written = performance.now();
    },
    remove: () => store.delete(key),
  };
}
