// One version of a model in memory: loaded and warm, with its queue, until nobody refers to it any more.
import { KindredError, isKindredError } from '@kindred/errors';
import { createBatchQueue, type BatchQueue } from '../engine/batch-queue.js';
import type { EncoderThreads } from '../engine/encoder-threads.js';
import { metrics } from '../metrics.js';
import type { ModelFacts, ModelSource, ResolvedModel } from './model-source.js';

/** How every model batches. */
export interface BatchingOptions {
  /** Batch sizes that are compiled, rising. */
  readonly batchSizes: readonly number[];
  /** How long an image waits for others while the network is idle, in milliseconds. */
  readonly maxDelayMs: number;
  /** Images that may be in a model's queue. */
  readonly maxDepth: number;
  /** Bytes that the images in a model's queue may hold together, as they came and as the network takes them. */
  readonly maxQueuedBytes: number;
}

/** A version in memory. */
export interface ServedModel {
  readonly model: ResolvedModel;
  readonly facts: ModelFacts;
  readonly memoryBytes: number;
  readonly device: 'cpu' | 'gpu';
  readonly queue: BatchQueue;
  /** Images that its queue has room for. */
  readonly maxDepth: number;
  /** Bytes that its queue has room for. */
  readonly maxQueuedBytes: number;
  /** Whether its thread has lost it: it must be loaded anew. */
  readonly lost: () => boolean;
  /** Waits for its queue to empty and frees it. */
  free(): Promise<void>;
}

let lastHandle = 0;

/**
 * Copies of a model's file that an instance is reckoned to take: weights as read, as constants of the graph and of its optimised form, with
 * their transformed filters. Seen for width 64 (45 MB): 0.9 to 1.0 GB of resident memory for the second instance.
 */
const copiesOfFile = 20;
/** Maps of the largest batch, allowed for beside that. */
const largestMaps = 12;

/** Bytes that a model is reckoned to take in all instances. */
export function reckonedBytes(
  { fileBytes, mapSize }: ModelFacts,
  { batchSizes }: Pick<BatchingOptions, 'batchSizes'>,
  instances: number,
): number {
  return instances * (copiesOfFile * fileBytes + largestMaps * (batchSizes.at(-1) ?? 1) * mapSize * 4);
}

/** What callers are told of a version whose file cannot be used. */
export function unusable({ name, version }: ResolvedModel, fault: KindredError): KindredError {
  return new KindredError(fault.code, `model '${name}@${version}' cannot be used: ${fault.message}`, {
    resource: { type: 'model', name },
    cause: fault,
  });
}

/** Loads, compiles and warms a version. DATA_LOSS when its file is damaged. */
export async function serveModel(
  model: ResolvedModel,
  facts: ModelFacts,
  source: ModelSource,
  encoder: EncoderThreads,
  batching: BatchingOptions,
): Promise<ServedModel> {
  const handle = `${model.name}@${model.version} ${++lastHandle}`;
  const device = await encoder.load(handle, await source.file(model), batching.batchSizes).catch((thrown: unknown) => {
    throw named(thrown, model);
  });
  let lost = false;
  const labels = { model: model.name };
  const queue = createBatchQueue({
    ...batching,
    maxBytes: batching.maxQueuedBytes,
    instances: encoder.instances,
    imageBytes: facts.cropSize * facts.cropSize * 3,
    async run(pixels, batch, count) {
      try {
        return await encoder.embed(handle, pixels, batch, count);
      } catch (thrown) {
        // The thread died and came back without its models.
        if (!isKindredError(thrown, 'FAILED_PRECONDITION')) throw thrown;
        lost = true;
        throw new KindredError('UNAVAILABLE', `model '${model.name}' is being loaded again; retry`, {
          retryAfterMs: 1000,
          cause: thrown,
        });
      }
    },
    onBatch(count, waitedMs) {
      metrics.batchImages.observe(labels, count);
      for (const ms of waitedMs) metrics.queueSeconds.observe(labels, ms / 1000);
    },
    onComputed: (ms) => metrics.inferenceSeconds.observe(labels, ms / 1000),
    onDepth: (images) => metrics.queueImages.set(labels, images),
    onDropped: (images) => metrics.droppedImages.inc(labels, images),
  });
  return {
    model,
    facts,
    memoryBytes: reckonedBytes(facts, batching, encoder.instances),
    device,
    queue,
    maxDepth: batching.maxDepth,
    maxQueuedBytes: batching.maxQueuedBytes,
    lost: () => lost,
    async free() {
      await queue.idle();
      await encoder.unload(handle);
    },
  };
}

function named(thrown: unknown, model: ResolvedModel): unknown {
  return isKindredError(thrown, 'DATA_LOSS') ? unusable(model, thrown) : thrown;
}
