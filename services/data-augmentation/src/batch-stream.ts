// An epoch's batches in order, made by threads a bounded number ahead of the reader.
import type { ImageTable } from '@kindred/datasets';
import type { BatchOptions, BatchPlan } from './batch-plan.js';
import { viewShape, type Transformation } from './transformation.js';
import type { LentViews, ViewWorkers } from './view-workers.js';

/** Batches that are made or being made while the reader has not asked for them. */
const maxAhead = 4;
/** Bytes of such batches; above it fewer are made ahead, but always one. */
const maxAheadBytes = 96 * 1024 * 1024;

/** One batch of views, to be given back once they are read. */
export interface Batch extends LentViews {
  /** Position in the epoch, from 0. */
  readonly batch: number;
  /** Index of each image, uint32 [count]. */
  readonly indices: Uint32Array;
  /** Label of each image, int32 [count]; -1: unlabelled. */
  readonly labels: Int32Array;
}

/** What batches are made from. */
export interface BatchSource {
  readonly table: ImageTable;
  readonly transformation: Transformation;
  readonly options: BatchOptions;
  readonly plan: BatchPlan;
  readonly workers: ViewWorkers;
}

/** Yields the batches from `firstBatch` on. Leaving the loop, or aborting `signal`, drops what is not begun. */
export async function* streamBatches(source: BatchSource, signal: AbortSignal): AsyncGenerator<Batch, void, undefined> {
  const { options, plan, transformation } = source;
  const left = new AbortController();
  const stop = AbortSignal.any([signal, left.signal]);
  const ahead = batchesAhead(options.batchSize * viewShape(transformation).bytes);
  const underWay: Promise<Batch>[] = [];
  let next = options.firstBatch;
  const fill = (): void => {
    while (underWay.length < ahead && next < plan.batchCount) {
      const making = makeBatch(source, next++, stop);
      // Its error is met when its turn comes; until then it must not count as unhandled.
      making.catch(() => {});
      underWay.push(making);
    }
  };
  try {
    fill();
    for (let making = underWay.shift(); making !== undefined; making = underWay.shift()) {
      const batch = await making;
      fill();
      yield batch;
    }
  } finally {
    left.abort();
  }
}

function batchesAhead(batchBytes: number): number {
  return Math.max(1, Math.min(maxAhead, Math.floor(maxAheadBytes / batchBytes)));
}

async function makeBatch(
  { table, transformation, options, plan, workers }: BatchSource,
  batch: number,
  signal: AbortSignal,
): Promise<Batch> {
  const indices = plan.indices(batch);
  const { seed, epoch } = options;
  const lent = await workers.viewsOf({ images: table, transformation, seed, epoch, indices }, signal);
  return { ...lent, batch, indices, labels: Int32Array.from(indices, (index) => table.labels[index] ?? -1) };
}
