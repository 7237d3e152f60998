// The service's settings from the environment; the only reader of `process.env` in this service.
import type { ImageDecoderLimits } from '@kindred/datasets';
import {
  coresOfMachine,
  fields,
  readServiceConfig,
  requireAtLeast,
  type NetworkConfig,
} from '@kindred/service-runtime';

/** Settings of the data-augmentation service. */
export interface Config {
  readonly network: NetworkConfig;
  /** Folders that datasets may lie in; the first is where a dataset without a root is looked for. `/` allows all. */
  readonly roots: readonly [string, ...string[]];
  /** Threads that make views. */
  readonly threads: number;
  /** Bytes of decoded datasets that stay in memory. */
  readonly cacheBytes: number;
  /** The artifact store that pushed datasets lie in: a folder's path, or `s3://BUCKET/PREFIX?endpoint=…`. */
  readonly artifactStore: string;
  /** Shards of pushed datasets on this machine's disk. */
  readonly shardCache: {
    /** Folder of its own, used by one process at a time. */
    readonly folder: string;
    /** Bytes at most. */
    readonly maxBytes: number;
  };
  /** Streams of batches at one time; one more is RESOURCE_EXHAUSTED. */
  readonly maxStreams: number;
  /** What the images of Augment calls may cost. */
  readonly images: ImageDecoderLimits;
}

/** More threads than this are of no use to one consumer: at 10,000 views a second each they outrun a GPU. */
const mostThreads = 8;

/**
 * Reads the settings.
 * @throws KindredError INVALID_ARGUMENT that names each variable that cannot be used, or one that contradicts another.
 */
export function loadConfig(environment: Readonly<Record<string, string | undefined>> = process.env): Config {
  const { network, values } = readServiceConfig('data-augmentation', environment, {
    KINDRED_DATA_AUGMENTATION_ROOTS: fields.paths().default(['./kindred-data/datasets']),
    KINDRED_DATA_AUGMENTATION_THREADS: fields.integer(1, 256).default(Math.min(mostThreads, coresOfMachine())),
    // Holds STL-10's training, unlabelled and test images together (3.2 GB).
    KINDRED_DATA_AUGMENTATION_CACHE_BYTES: fields.integer(1, 2 ** 50).default(4 * 2 ** 30),
    KINDRED_ARTIFACT_STORE: fields.text().default('./kindred-data/artifacts'),
    KINDRED_DATA_AUGMENTATION_SHARD_CACHE: fields.text().default('./kindred-data/shard-cache'),
    KINDRED_DATA_AUGMENTATION_SHARD_CACHE_BYTES: fields.integer(0, 2 ** 50).default(8 * 2 ** 30),
    KINDRED_DATA_AUGMENTATION_MAX_STREAMS: fields.integer(1, 4096).default(64),
    // sharp itself takes no more than 16,383² pixels.
    KINDRED_DATA_AUGMENTATION_MAX_IMAGE_PIXELS: fields.integer(1, 268_402_689).default(32 * 2 ** 20),
    KINDRED_DATA_AUGMENTATION_MAX_CALL_PIXELS: fields.integer(1, 2 ** 40).default(256 * 2 ** 20),
    KINDRED_DATA_AUGMENTATION_MAX_DECODING: fields.integer(1, 256).default(Math.min(4, coresOfMachine())),
    KINDRED_DATA_AUGMENTATION_MAX_AUGMENT_CALLS: fields.integer(1, 4096).default(16),
  });
  const [first = './kindred-data/datasets', ...others] = values.KINDRED_DATA_AUGMENTATION_ROOTS;
  requireAtLeast(
    values,
    'KINDRED_DATA_AUGMENTATION_MAX_CALL_PIXELS',
    'KINDRED_DATA_AUGMENTATION_MAX_IMAGE_PIXELS',
    'each image that is allowed has room',
  );
  return Object.freeze({
    network,
    roots: [first, ...others] as const,
    threads: values.KINDRED_DATA_AUGMENTATION_THREADS,
    cacheBytes: values.KINDRED_DATA_AUGMENTATION_CACHE_BYTES,
    artifactStore: values.KINDRED_ARTIFACT_STORE,
    shardCache: {
      folder: values.KINDRED_DATA_AUGMENTATION_SHARD_CACHE,
      maxBytes: values.KINDRED_DATA_AUGMENTATION_SHARD_CACHE_BYTES,
    },
    maxStreams: values.KINDRED_DATA_AUGMENTATION_MAX_STREAMS,
    images: {
      maxImagePixels: values.KINDRED_DATA_AUGMENTATION_MAX_IMAGE_PIXELS,
      maxCallPixels: values.KINDRED_DATA_AUGMENTATION_MAX_CALL_PIXELS,
      concurrency: values.KINDRED_DATA_AUGMENTATION_MAX_DECODING,
      maxCalls: values.KINDRED_DATA_AUGMENTATION_MAX_AUGMENT_CALLS,
    },
  });
}
