// The service's settings from the environment; the only reader of `process.env` in this service.
import { availableParallelism } from 'node:os';
import type { ImageDecoderLimits } from '@kindred/datasets';
import {
  defaultServiceAddress,
  fields,
  networkFields,
  readConfig,
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
  /** Threads that one TensorFlow operation may use. */
  readonly threads: number;
  /** Models in memory at one time; the longest unused leaves. */
  readonly maxLoadedModels: number;
  /** Calls that may wait for the network; one more is RESOURCE_EXHAUSTED. */
  readonly maxQueuedCalls: number;
  /** What encoded images of requests may cost. */
  readonly images: Omit<ImageDecoderLimits, 'maxCalls'>;
  /** Dataset jobs that run at one time. */
  readonly maxJobs: number;
  /** How long a dataset job waits for a service that does not answer, in milliseconds. */
  readonly peerRetryMs: number;
}

/**
 * Reads the settings.
 * @throws KindredError INVALID_ARGUMENT that names each variable that cannot be used.
 */
export function loadConfig(environment: Readonly<Record<string, string | undefined>> = process.env): Config {
  const network = networkFields('embedding');
  const augmentation = serviceAddressVariable('data-augmentation');
  const neighbors = serviceAddressVariable('neighbor-index');
  const values: Record<string, unknown> = readConfig(environment, {
    ...network.schema,
    [augmentation]: fields.text().default(defaultServiceAddress('data-augmentation')),
    [neighbors]: fields.text().default(defaultServiceAddress('neighbor-index')),
    KINDRED_ARTIFACT_STORE: fields.text().default('./kindred-data/artifacts'),
    KINDRED_EMBEDDING_THREADS: fields.integer(1, 256).default(availableParallelism()),
    KINDRED_EMBEDDING_MAX_MODELS: fields.integer(1, 1000).default(4),
    KINDRED_EMBEDDING_MAX_QUEUED: fields.integer(1, 10_000).default(64),
    // sharp itself takes no more than 16,383² pixels.
    KINDRED_EMBEDDING_MAX_IMAGE_PIXELS: fields.integer(1, 268_402_689).default(32 * 2 ** 20),
    KINDRED_EMBEDDING_MAX_CALL_PIXELS: fields.integer(1, 2 ** 40).default(256 * 2 ** 20),
    KINDRED_EMBEDDING_MAX_DECODING: fields.integer(1, 256).default(Math.min(4, availableParallelism())),
    KINDRED_EMBEDDING_MAX_JOBS: fields.integer(1, 100).default(4),
    KINDRED_EMBEDDING_PEER_RETRY_MS: fields.integer(0, 600_000).default(3000),
  });
  return Object.freeze({
    network: network.read(values),
    artifactStore: values['KINDRED_ARTIFACT_STORE'] as string,
    dataAugmentationAddress: values[augmentation] as string,
    neighborIndexAddress: values[neighbors] as string,
    threads: values['KINDRED_EMBEDDING_THREADS'] as number,
    maxLoadedModels: values['KINDRED_EMBEDDING_MAX_MODELS'] as number,
    maxQueuedCalls: values['KINDRED_EMBEDDING_MAX_QUEUED'] as number,
    images: {
      maxImagePixels: values['KINDRED_EMBEDDING_MAX_IMAGE_PIXELS'] as number,
      maxCallPixels: values['KINDRED_EMBEDDING_MAX_CALL_PIXELS'] as number,
      concurrency: values['KINDRED_EMBEDDING_MAX_DECODING'] as number,
    },
    maxJobs: values['KINDRED_EMBEDDING_MAX_JOBS'] as number,
    peerRetryMs: values['KINDRED_EMBEDDING_PEER_RETRY_MS'] as number,
  });
}
