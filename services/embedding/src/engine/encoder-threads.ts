// The main thread's side of the encoders: threads that each hold all models, and run one batch at a time.
import { SHARE_ENV } from 'node:worker_threads';
import { createWorkerPool, workerEntry } from '@kindred/workers';
import type { EmbeddedBatch } from './batch-queue.js';
import type * as EncoderWorker from './encoder.worker.js';

/** The threads that run networks. */
export interface EncoderThreads {
  /** Batches that they run side by side. */
  readonly instances: number;
  /**
   * Loads a model from its file under `handle` into each thread and runs each batch size once; gives what it runs on. Batches of other
   * models are run between these steps. DATA_LOSS when the file is damaged.
   */
  load(handle: string, file: Uint8Array, batchSizes: readonly number[]): Promise<'cpu' | 'gpu'>;
  /** Runs a batch, uint8 [batch, side, side, 3] of which `count` images are real; `pixels` moves to the thread with least to do. */
  embed(handle: string, pixels: Uint8Array, batch: number, count: number): Promise<EmbeddedBatch>;
  /** Frees a model. */
  unload(handle: string): Promise<void>;
  /** Ends the threads. */
  close(): Promise<void>;
}

/** How many threads there are, and what they may use. */
export interface EncoderThreadsOptions {
  readonly instances: number;
  /** Threads that one TensorFlow operation may use. */
  readonly threadsEach: number;
}

/** Starts the threads. */
export function createEncoderThreads({ instances, threadsEach }: EncoderThreadsOptions): EncoderThreads {
  const encoders = Array.from({ length: instances }, () => ({
    underWay: 0,
    pool: createWorkerPool<typeof EncoderWorker>({
      entry: workerEntry(import.meta.url, 'encoder'),
      // The next batch is in the thread when one ends: otherwise the network would stand still until the event loop looks.
      callsPerThread: 2,
      // Each model has two batches an instance at most: its queue is the bound.
      maxQueued: Number.MAX_SAFE_INTEGER,
      // TensorFlow reads the process's own environment: with a copy, as threads get by default, oneDNN would stay off on AMD.
      env: SHARE_ENV as unknown as NodeJS.ProcessEnv,
    }),
  }));
  type Encoder = (typeof encoders)[number];
  const embedBy = async (
    encoder: Encoder,
    handle: string,
    pixels: Uint8Array,
    batch: number,
    count: number,
  ): Promise<EmbeddedBatch> => {
    encoder.underWay++;
    try {
      const transfer = [pixels.buffer as ArrayBuffer];
      return await encoder.pool.run('embed', { handle, pixels, batch, count }, { transfer });
    } finally {
      encoder.underWay--;
    }
  };
  return {
    instances,
    async load(handle, file, batchSizes) {
      let device: 'cpu' | 'gpu' = 'cpu';
      // One after the other: TensorFlow begins once a process, and the others go on serving meanwhile.
      for (const encoder of encoders) {
        const request = { handle, file, batchSizes, threads: threadsEach, instances };
        const loaded = await encoder.pool.run('load', request);
        device = loaded.device;
        const bytes = loaded.side * loaded.side * 3;
        for (const size of batchSizes) await embedBy(encoder, handle, new Uint8Array(size * bytes), size, size);
      }
      return device;
    },
    embed(handle, pixels, batch, count) {
      const least = encoders.reduce((best, encoder) => (encoder.underWay < best.underWay ? encoder : best));
      return embedBy(least, handle, pixels, batch, count);
    },
    async unload(handle) {
      await Promise.all(encoders.map(({ pool }) => pool.run('unload', handle)));
    },
    async close() {
      await Promise.all(encoders.map(({ pool }) => pool.close()));
    },
  };
}
