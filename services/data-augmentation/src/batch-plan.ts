// Which images make which batch of an epoch; a function of the request and the dataset's size alone.
import { shuffledIndices } from '@kindred/augmentation';
import { invalidField } from '@kindred/errors';
import { maxPixelBytes } from '@kindred/protocol';

/** Images a batch. */
export const maxBatchImages = 8192;

/** What a stream of batches is asked for. */
export interface BatchOptions {
  readonly batchSize: number;
  readonly shuffle: boolean;
  readonly dropLast: boolean;
  readonly seed: bigint;
  readonly epoch: number;
  readonly firstBatch: number;
}

/** The batches of an epoch. */
export interface BatchPlan {
  /** Batches in the whole epoch. */
  readonly batchCount: number;
  /** Indices of the images of batch `batch`, uint32 [count]; its memory is its own. */
  indices(batch: number): Uint32Array;
}

/**
 * Plans an epoch over `size` images of which each takes `imageBytes` bytes of views.
 * @throws KindredError INVALID_ARGUMENT naming the field; for a batch over {@link maxPixelBytes}, with the largest that is allowed.
 */
export function planBatches(size: number, imageBytes: number, options: BatchOptions): BatchPlan {
  const { batchSize, dropLast, firstBatch } = options;
  checkBatchSize(size, imageBytes, options);
  const batchCount = dropLast ? Math.floor(size / batchSize) : Math.ceil(size / batchSize);
  if (firstBatch > batchCount) {
    throw invalidField(
      'first_batch',
      `got ${firstBatch}; allowed: 0 to ${batchCount}, the number of batches in the epoch`,
    );
  }
  const order = options.shuffle ? shuffledIndices(size, options.seed, options.epoch) : null;
  return {
    batchCount,
    indices(batch) {
      const start = batch * batchSize;
      const end = Math.min(size, start + batchSize);
      if (order !== null) return order.slice(start, end);
      return Uint32Array.from({ length: end - start }, (_, i) => start + i);
    },
  };
}

function checkBatchSize(size: number, imageBytes: number, { batchSize, dropLast }: BatchOptions): void {
  if (batchSize < 1 || batchSize > maxBatchImages) {
    throw invalidField('batch_size', `got ${batchSize}; allowed: 1 to ${maxBatchImages}`);
  }
  if (dropLast && size < batchSize) {
    throw invalidField(
      'batch_size',
      `got ${batchSize} with drop_last for ${size} images, which leaves no batch; allowed: at most ${size}`,
    );
  }
  const bytes = Math.min(batchSize, size) * imageBytes;
  if (bytes <= maxPixelBytes) return;
  const allowed = Math.floor(maxPixelBytes / imageBytes);
  throw invalidField(
    'batch_size',
    `got ${batchSize}, a batch of ${bytes} bytes; allowed: at most ${allowed} images of this size (${maxPixelBytes} bytes)`,
  );
}
