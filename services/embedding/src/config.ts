// The service's settings from the environment; the only reader of `process.env` in this service.
import { invalidField } from '@kindred/errors';
import {
  coresOfMachine,
  defaultServiceAddress,
  fields,
  memoryOfMachine,
  readServiceConfig,
  requireAtLeast,
  serviceAddressVariable,
  type NetworkConfig,
} from '@kindred/service-runtime';

/** Settings of the embedding service. */
export interface Config {
  readonly network: NetworkConfig;
  /** The artifact store: a folder's path, or `s3://BUCKET/PREFIX?endpoint=…`. */
  readonly artifactStore: string;
  /** `host:port` of the data-augmentation service. */
  readonly dataAugmentationAddress: string;
  /** `host:port` of the neighbor-index service. */
  readonly neighborIndexAddress: string;
  /** Threads that the network may use, over all instances. */
  readonly threads: number;
  /** Models that are loaded and warm before the service says that it is ready. */
  readonly preload: readonly string[];
  /** Time between two looks at what a model's name stands for, in milliseconds. */
  readonly followMs: number;
  /** What GetInfo tells. */
  readonly limits: ConfiguredLimits;
  /** How long a dataset job waits for a service that does not answer, in milliseconds. */
  readonly peerRetryMs: number;
}

/** Limits that may be set. */
export interface ConfiguredLimits {
  /** Images of one request. */
  readonly maxImages: number;
  /** Pixels of one image. */
  readonly maxImagePixels: number;
  /** Pixels of all encoded images of one request together. */
  readonly maxRequestPixels: number;
  /** Images of one batch. */
  readonly maxBatch: number;
  /** Batches in the network at one time, each in an instance of its own with its part of the threads. */
  readonly instances: number;
  /** How long an image waits for others while the network is idle, in milliseconds. */
  readonly maxDelayMs: number;
  /** Images that may be in a model's queue. */
  readonly maxDepth: number;
  /** Bytes that the images in a model's queue may hold together, as they came and as the network takes them. */
  readonly maxQueuedBytes: number;
  /** Images decoded at one time. */
  readonly decodingThreads: number;
  /** Bytes that models may take together. */
  readonly maxModelBytes: number;
  /** Bytes of the cache of vectors; 0: none. */
  readonly maxCacheBytes: number;
  /** Dataset jobs that run at one time. */
  readonly maxJobs: number;
}

/**
 * Reads the settings.
 * @throws KindredError INVALID_ARGUMENT that names each variable that cannot be used.
 */
export function loadConfig(environment: Readonly<Record<string, string | undefined>> = process.env): Config {
  const augmentation = serviceAddressVariable('data-augmentation');
  const neighbors = serviceAddressVariable('neighbor-index');
  const { network, values } = readServiceConfig('embedding', environment, {
    [augmentation]: fields.text().default(defaultServiceAddress('data-augmentation')),
    [neighbors]: fields.text().default(defaultServiceAddress('neighbor-index')),
    KINDRED_ARTIFACT_STORE: fields.text().default('./kindred-data/artifacts'),
    KINDRED_EMBEDDING_THREADS: fields.integer(1, 256).default(coresOfMachine()),
    KINDRED_EMBEDDING_INSTANCES: fields.integer(1, 64).optional(),
    KINDRED_EMBEDDING_PRELOAD: fields.texts().default([]),
    KINDRED_EMBEDDING_FOLLOW_MS: fields.integer(50, 3_600_000).default(2000),
    KINDRED_EMBEDDING_MAX_IMAGES: fields.integer(1, 65_536).default(256),
    // sharp itself takes no more than 16,383² pixels.
    KINDRED_EMBEDDING_MAX_IMAGE_PIXELS: fields.integer(1, 268_402_689).default(32 * 2 ** 20),
    KINDRED_EMBEDDING_MAX_CALL_PIXELS: fields.integer(1, 2 ** 40).default(256 * 2 ** 20),
    KINDRED_EMBEDDING_MAX_BATCH: fields.integer(1, 1024).default(32),
    KINDRED_EMBEDDING_MAX_DELAY_MS: fields.integer(0, 10_000).default(2),
    // Fewer than one connection may have calls (KINDRED_MAX_CONNECTION_STREAMS): the queue is what callers meet, with a time to come back.
    KINDRED_EMBEDDING_MAX_QUEUED: fields.integer(1, 1_000_000).default(512),
    KINDRED_EMBEDDING_MAX_QUEUED_BYTES: fields.integer(1, 2 ** 50).default(256 * 2 ** 20),
    KINDRED_EMBEDDING_MAX_DECODING: fields.integer(1, 256).default(Math.min(4, coresOfMachine())),
    KINDRED_EMBEDDING_MODEL_BYTES: fields.integer(1, 2 ** 50).default(defaultModelBytes()),
    KINDRED_EMBEDDING_CACHE_BYTES: fields.integer(0, 2 ** 50).default(0),
    KINDRED_EMBEDDING_MAX_JOBS: fields.integer(1, 100).default(4),
    KINDRED_EMBEDDING_PEER_RETRY_MS: fields.integer(0, 600_000).default(3000),
  });
  return Object.freeze({
    network,
    artifactStore: values['KINDRED_ARTIFACT_STORE'] as string,
    dataAugmentationAddress: values[augmentation] as string,
    neighborIndexAddress: values[neighbors] as string,
    threads: values['KINDRED_EMBEDDING_THREADS'] as number,
    preload: values['KINDRED_EMBEDDING_PRELOAD'] as string[],
    followMs: values['KINDRED_EMBEDDING_FOLLOW_MS'] as number,
    limits: limitsFrom(values),
    peerRetryMs: values['KINDRED_EMBEDDING_PEER_RETRY_MS'] as number,
  });
}

/** @throws KindredError INVALID_ARGUMENT where a request of the largest size would never fit into the queue, or an image into a request. */
function limitsFrom(values: Readonly<Record<string, unknown>>): ConfiguredLimits {
  const number = (name: string): number => values[`KINDRED_EMBEDDING_${name}`] as number;
  const requireRoom = (name: string, least: string, aim: string): void =>
    requireAtLeast(values, `KINDRED_EMBEDDING_${name}`, `KINDRED_EMBEDDING_${least}`, aim);
  requireRoom('MAX_QUEUED', 'MAX_IMAGES', 'every request can be admitted');
  requireRoom('MAX_CALL_PIXELS', 'MAX_IMAGE_PIXELS', 'each image that is allowed has room');
  return {
    maxImages: number('MAX_IMAGES'),
    maxDepth: number('MAX_QUEUED'),
    maxQueuedBytes: number('MAX_QUEUED_BYTES'),
    maxImagePixels: number('MAX_IMAGE_PIXELS'),
    maxRequestPixels: number('MAX_CALL_PIXELS'),
    maxBatch: number('MAX_BATCH'),
    instances: instancesFrom(values),
    maxDelayMs: number('MAX_DELAY_MS'),
    decodingThreads: number('MAX_DECODING'),
    maxModelBytes: number('MODEL_BYTES'),
    maxCacheBytes: number('CACHE_BYTES'),
    maxJobs: number('MAX_JOBS'),
  };
}

/** Half of the machine, and what one ResNet-18 for images of 224×224 pixels takes in two instances at the least. */
function defaultModelBytes(): number {
  return Math.max(5 * 2 ** 30, Math.floor(memoryOfMachine() / 2));
}

/**
 * Up to so many threads each has an instance of its own unless the environment says otherwise: as far as it has been measured
 * (docs/decisions/0016). On larger machines it is one instance, since each takes memory.
 */
const mostThreadsWithOwn = 2;

/** @throws KindredError INVALID_ARGUMENT for more instances than threads. */
function instancesFrom(values: Readonly<Record<string, unknown>>): number {
  const threads = values['KINDRED_EMBEDDING_THREADS'] as number;
  const instances = values['KINDRED_EMBEDDING_INSTANCES'] as number | undefined;
  if (instances === undefined) return threads <= mostThreadsWithOwn ? threads : 1;
  if (instances <= threads) return instances;
  throw invalidField(
    'KINDRED_EMBEDDING_INSTANCES',
    `got ${instances}; allowed: 1 to ${threads} (KINDRED_EMBEDDING_THREADS), so that each has a thread`,
  );
}
