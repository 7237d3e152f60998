// The main thread's side of the encoder: one thread that runs every model's batches in their order.
import { SHARE_ENV } from 'node:worker_threads';
import { createWorkerPool, workerEntry } from '@kindred/workers';
import type { EmbeddedBatch } from './batch-queue.js';
import type * as EncoderWorker from './encoder.worker.js';

/** The thread that runs networks. */
export interface EncoderThread {
  /** Loads and warms a model from its file under `handle`; gives what it runs on. DATA_LOSS when the file is damaged. */
  load(handle: string, file: Uint8Array, batchSizes: readonly number[]): Promise<'cpu' | 'gpu'>;
  /** Runs a batch, uint8 [batch, side, side, 3] of which `count` images are real; `pixels` moves to the thread. */
  embed(handle: string, pixels: Uint8Array, batch: number, count: number): Promise<EmbeddedBatch>;
  /** Frees a model. */
  unload(handle: string): Promise<void>;
  /** Ends the thread. */
  close(): Promise<void>;
}

/** Starts the thread; `threads` is what one TensorFlow operation may use. */
export function createEncoderThread(threads: number): EncoderThread {
  const pool = createWorkerPool<typeof EncoderWorker>({
    entry: workerEntry(import.meta.url, 'encoder'),
    // Each model has two batches here at most: its queue is the bound.
    maxQueued: Number.MAX_SAFE_INTEGER,
    // TensorFlow reads the process's own environment: with a copy, as threads get by default, oneDNN would stay off on AMD.
    env: SHARE_ENV as unknown as NodeJS.ProcessEnv,
  });
  return {
    load: (handle, file, batchSizes) => pool.run('load', { handle, file, batchSizes, threads }),
    embed: (handle, pixels, batch, count) =>
      pool.run('embed', { handle, pixels, batch, count }, { transfer: [pixels.buffer as ArrayBuffer] }),
    unload: (handle) => pool.run('unload', handle),
    close: () => pool.close(),
  };
}
