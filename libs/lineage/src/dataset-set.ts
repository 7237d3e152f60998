// A dataset in the store: shards named by their content, and a description of them named by its own.
import { KindredError, isKindredError, invalidField, notFound } from '@kindred/errors';
import { z } from 'zod';
import type { LineageStore } from './lineage-store.js';
import { readManifest, listManifests } from './manifests.js';

/** Prefix of descriptions, `datasets/sets/<sha256>.json`. */
export const datasetSetPrefix = 'datasets/sets/';
/** Prefix of shards and indexes of splits, `datasets/shards/<sha256>.safetensors`. */
export const datasetShardPrefix = 'datasets/shards/';
/** Prefix of notes of pushes under way, `datasets/pushes/<id>.json`. */
export const datasetPushPrefix = 'datasets/pushes/';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const shardSchema = z.object({
  sha256,
  /** Bytes. */
  size: z.number().int().min(1),
  images: z.number().int().min(1),
});
const splitSchema = z.object({
  /** `encoded`: the files as they were; `raw`: pixels. */
  encoding: z.enum(['encoded', 'raw']),
  images: z.number().int().min(1),
  /** Bytes of all pixels once decoded: height × width × 3 an image. */
  pixelBytes: z.number().int().min(1),
  classNames: z.array(z.string()),
  /** Labels, heights and widths of all images; it lies among the shards. */
  index: z.object({ sha256, size: z.number().int().min(1) }),
  /** In the order of the images. */
  shards: z.array(shardSchema),
});

/** The form of `datasets/sets/<sha256>.json`. */
export const datasetSetSchema = z.object({
  schemaVersion: z.literal(1),
  /** Which of our dataset forms it was pushed from, e.g. `cifar-10` or `folder`. */
  form: z.string(),
  /** By split as `openDataset` names it: `train`, `val`, `unlabeled`. */
  splits: z.record(z.string(), splitSchema),
});

/** What a pushed dataset consists of; its SHA-256 is the dataset's identity. */
export type DatasetSet = z.output<typeof datasetSetSchema>;
/** One split of it. */
export type DatasetSetSplit = DatasetSet['splits'][string];
/** A file of a split: its index, or one of its shards. */
export type DatasetFile = DatasetSetSplit['index'];
/** One shard of a split. */
export type DatasetShard = z.output<typeof shardSchema>;

/** Key of a dataset's description. */
export const datasetSetKey = (sha256: string): string => `${datasetSetPrefix}${sha256}.json`;
/** Key of a shard. */
export const datasetShardKey = (sha256: string): string => `${datasetShardPrefix}${sha256}.safetensors`;

/** A pushed dataset by name, `NAME`, or by name and content, `NAME@HASH`. */
export interface DatasetArtifactReference {
  readonly name: string;
  /** At least 8 hexadecimal digits from the start of the description's SHA-256; null: what the name stands for now. */
  readonly hash: string | null;
}

/** What a reference stands for. */
export interface ResolvedDataset {
  readonly name: string;
  /** Of the description. */
  readonly sha256: string;
}

const prefix = 'artifact:';
const nameForm = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const hashForm = /^[0-9a-f]{8,64}$/;

/** Whether a dataset's name means one in the store, `artifact:…`. */
export function isDatasetArtifact(name: string): boolean {
  return name.startsWith(prefix);
}

/** Whether a text is `artifact:NAME` or `artifact:NAME@HASH`, well-formed. */
export function isDatasetReference(text: string): text is `artifact:${string}` {
  const [name = '', hash, ...more] = text.slice(prefix.length).split('@');
  return (
    isDatasetArtifact(text) && nameForm.test(name) && more.length === 0 && (hash === undefined || hashForm.test(hash))
  );
}

/** The name alone of `artifact:NAME` or `artifact:NAME@HASH`; any other text as it is. */
export function datasetBaseName(text: string): string {
  return isDatasetReference(text) ? (text.slice(prefix.length).split('@')[0] ?? '') : text;
}

/** Returns `name` if a dataset may be pushed under it. @throws KindredError INVALID_ARGUMENT otherwise. */
export function checkedDatasetName(name: string, field: string): string {
  if (nameForm.test(name)) return name;
  throw invalidField(
    field,
    `got '${name}'; allowed: 1 to 63 lower-case letters, digits, dots, dashes and underscores, the first a letter or digit`,
  );
}

/** Parses `artifact:NAME` or `artifact:NAME@HASH`. @throws KindredError INVALID_ARGUMENT for anything else. */
export function parseDatasetArtifact(text: string, field: string): DatasetArtifactReference {
  if (isDatasetReference(text)) {
    const [name = '', hash = null] = text.slice(prefix.length).split('@');
    return { name, hash };
  }
  throw invalidField(field, `got '${text}'; allowed: artifact:NAME, or artifact:NAME@ and 8 to 64 hexadecimal digits`);
}

/** The reference with its content pinned, as short as is safe: `artifact:NAME@0123456789abcdef`. */
export function pinnedDatasetArtifact({ name, sha256 }: ResolvedDataset): `artifact:${string}` {
  return `${prefix}${name}@${sha256.slice(0, 16)}`;
}

/** Finds what a reference stands for. NOT_FOUND, with the names that there are, otherwise. */
export async function resolveDatasetArtifact(
  store: Pick<LineageStore, 'get' | 'list'>,
  { name, hash }: DatasetArtifactReference,
): Promise<ResolvedDataset> {
  if (hash === null) {
    const current = (await readManifest(store, 'dataset', name))?.config['set'];
    if (typeof current === 'string') return { name, sha256: current };
    const known: string[] = [];
    for await (const { id } of listManifests(store, ['dataset'])) known.push(`${prefix}${id}`);
    throw notFound('dataset', `${prefix}${name}`, known);
  }
  const found: string[] = [];
  for await (const { key } of store.list(`${datasetSetPrefix}${hash}`))
    found.push(key.slice(datasetSetPrefix.length, -'.json'.length));
  if (found.length === 1 && found[0] !== undefined) return { name, sha256: found[0] };
  if (found.length === 0) throw notFound('dataset', `${prefix}${name}@${hash}`);
  throw invalidField(
    'dataset.name',
    `got ${name}@${hash}, which ${found.length} datasets begin with; allowed: more digits`,
  );
}

/** Reads a description. NOT_FOUND; DATA_LOSS, naming it, when it is damaged. */
export async function readDatasetSet(store: Pick<LineageStore, 'get'>, sha256: string): Promise<DatasetSet> {
  const key = datasetSetKey(sha256);
  try {
    return datasetSetSchema.parse(JSON.parse(new TextDecoder().decode(await store.get(key, sha256))));
  } catch (cause) {
    if (isKindredError(cause)) throw cause;
    throw new KindredError('DATA_LOSS', `${key} is of a later version of Kindred; read it with that`, {
      resource: { type: 'artifact', name: key },
      cause,
    });
  }
}
