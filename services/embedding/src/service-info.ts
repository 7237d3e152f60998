// Every limit of the service, in one place: what GetInfo tells is what is enforced.
import { maxMessageBytes } from '@kindred/protocol';
import type { BatchingOptions } from './models/served-model.js';
import type { Config } from './config.js';
import { batchSizesUpTo } from './engine/batch-sizes.js';
import type { ImageLimits } from './images/image-batch.js';

/** The limits. */
export interface ServiceInfo extends ImageLimits, BatchingOptions {
  /** Bytes of one gRPC message. */
  readonly maxMessageBytes: number;
  /** Requests of one stream at work at one time. */
  readonly maxStreamRequests: number;
  /** Images decoded at one time. */
  readonly decodingThreads: number;
  /** Bytes that models may take together. */
  readonly maxModelBytes: number;
  /** Bytes of the cache of vectors. */
  readonly maxCacheBytes: number;
  /** Instances of each model. */
  readonly instances: number;
  /** Dataset jobs at one time. */
  readonly maxJobs: number;
}

/** Longest side of an image in pixels; sharp itself takes no more. */
const maxSide = 16_383;
const maxStreamRequests = 8;

/** The limits that `config` makes. */
export function serviceInfo(config: Pick<Config, 'limits'>): ServiceInfo {
  const { maxBatch, ...limits } = config.limits;
  return Object.freeze({
    ...limits,
    batchSizes: batchSizesUpTo(maxBatch),
    maxSide,
    maxMessageBytes,
    maxStreamRequests,
  });
}
