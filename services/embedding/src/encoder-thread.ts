// The main thread's side of the encoder: a bounded queue before one thread.
import { SHARE_ENV } from 'node:worker_threads';
import { createWorkerPool, workerEntry } from '@kindred/workers';
import type { EmbedRequest } from './encoder.worker.js';
import type * as EncoderWorker from './encoder.worker.js';

/** The thread that runs networks. Calls are served in their order. */
export interface EncoderThread {
  /** Loads a model from its file. DATA_LOSS when it is damaged. */
  load(model: string, file: Uint8Array): Promise<void>;
  /** float32 [count, dimension]. RESOURCE_EXHAUSTED when the queue is full. */
  embed(request: EmbedRequest): Promise<Float32Array>;
  /** Frees a model. */
  unload(model: string): Promise<void>;
  /** Ends the thread. */
  close(): Promise<void>;
}

/** Starts the thread; `threads` is what one TensorFlow operation may use, `maxQueued` how many calls may wait. */
export function createEncoderThread(threads: number, maxQueued: number): EncoderThread {
  const pool = createWorkerPool<typeof EncoderWorker>({
    entry: workerEntry(import.meta.url, 'encoder'),
    maxQueued,
    // TensorFlow reads the process's own environment: with a copy, as threads get by default, oneDNN would stay off on AMD.
    env: SHARE_ENV as unknown as NodeJS.ProcessEnv,
  });
  return {
    load: (model, file) => pool.run('load', { model, file, threads }),
    embed: (request) => pool.run('embed', request),
    unload: (model) => pool.run('unload', model),
    close: () => pool.close(),
  };
}
