// Mining in a worker thread: its calls compute on all cores and return when they are done.
import { createWorkerPool, workerEntry } from '@kindred/workers';
import type * as FaissWorker from './faiss.worker.js';
import { mineIn, type MiningRequest } from './mining.js';
import type { FaissNeighbours, SearchOptions } from './neighbours.js';

/** The thread. */
export interface FaissEngine {
  /**
   * The `k` nearest of `vectors` for each of them, by inner product: what a search for all of them in an index of them finds.
   * Equal scores stand by position, also where only some of them have a place. INVALID_ARGUMENT as `search`, for `k`
   * beyond the number of vectors, and when products are no numbers.
   */
  mine(request: MiningRequest, options?: SearchOptions): Promise<FaissNeighbours>;
  /** Ends the thread; calls under way are rejected. */
  close(): Promise<void>;
}

/** Starts the thread. */
export function createFaissEngine(): FaissEngine {
  const pool = createWorkerPool<typeof FaissWorker>({ entry: workerEntry(import.meta.url, 'faiss') });

  return {
    mine: (request, options = {}) => mineIn(pool, request, options),
    close: () => pool.close(),
  };
}
