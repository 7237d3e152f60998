// Exact inner-product indexes of faiss, and mining, all in one worker thread, so that no search holds up the event loop.
import { KindredError } from '@kindred/errors';
import { createWorkerPool, workerEntry } from '@kindred/workers';
import { bytesPerTransfer, productsPerCall } from './call-sizes.js';
import type * as FaissWorker from './faiss.worker.js';
import { mineIn, type MiningRequest } from './mining.js';
import type { FaissNeighbours, SearchOptions } from './neighbours.js';

/** faiss multiplies matrices from 20 queries on (distance_compute_blas_threshold); below that it is slower a query. */
const minQueriesPerCall = 32;
const maxQueriesPerCall = 4096;

/** One index. Calls take effect in the order in which they are made, except that a long search works block by block. */
export interface FaissIndex {
  /** Numbers a vector. */
  readonly dimension: number;
  /** Vectors in it, after the last call that has returned. */
  readonly size: number;
  /** Appends vectors, [n, dimension]. INVALID_ARGUMENT when the length is no multiple of the dimension. */
  add(vectors: Float32Array): Promise<void>;
  /** Takes out the vectors at `positions`; those after them move up and keep their order. */
  remove(positions: Int32Array): Promise<void>;
  /** The `k` vectors with the largest inner products for each of `queries`, [n, dimension]; INVALID_ARGUMENT as `add`. */
  search(queries: Float32Array, k: number, options?: SearchOptions): Promise<FaissNeighbours>;
  /** Takes out all vectors. */
  reset(): Promise<void>;
  /** Frees the index. */
  close(): Promise<void>;
}

/** The thread, and the indexes in it. */
export interface FaissEngine {
  /** Makes an empty index. INVALID_ARGUMENT unless `dimension` is 1 or more; FAILED_PRECONDITION when faiss does not load. */
  createIndex(options: { readonly dimension: number }): Promise<FaissIndex>;
  /**
   * The `k` nearest of `vectors` for each of them, by inner product: what a search for all of them in an index of them finds.
   * Equal scores stand by position, also where only some of them have a place. INVALID_ARGUMENT as `search`, for `k`
   * beyond the number of vectors, and when products are no numbers.
   */
  mine(request: MiningRequest, options?: SearchOptions): Promise<FaissNeighbours>;
  /** Ends the thread; calls under way are rejected. */
  close(): Promise<void>;
}

/** Starts the thread. faiss itself is loaded with the first index. */
export function createFaissEngine(): FaissEngine {
  // libgomp reads this when faiss is loaded: its idle threads otherwise spin on the cores that OpenBLAS multiplies on
  // (10,000² × 128 on two cores: 0.24 s instead of 0.37 s, 0.4 s instead of 2.5 s where other processes are busy).
  process.env.OMP_WAIT_POLICY ??= 'PASSIVE';
  const pool = createWorkerPool<typeof FaissWorker>({ entry: workerEntry(import.meta.url, 'faiss') });

  return {
    async createIndex({ dimension }) {
      if (!Number.isInteger(dimension) || dimension < 1) {
        throw new KindredError('INVALID_ARGUMENT', `faiss: got dimension ${dimension}; allowed: 1 or more`);
      }
      let handle = await pool.run('create', dimension);
      let size = 0;

      return {
        dimension,
        get size() {
          return size;
        },
        async add(vectors) {
          rowsOf(vectors, dimension);
          const step = Math.max(1, Math.floor(bytesPerTransfer / (4 * dimension))) * dimension;
          for (let start = 0; start < vectors.length; start += step) {
            const part = vectors.slice(start, start + step);
            size = await pool.run('add', { handle, vectors: part }, { transfer: [part.buffer] });
          }
        },
        async remove(positions) {
          size = await pool.run('remove', { handle, positions });
        },
        async search(queries, k, { signal, onProgress } = {}) {
          const count = rowsOf(queries, dimension);
          if (!Number.isInteger(k) || k < 1) {
            throw new KindredError('INVALID_ARGUMENT', `faiss: got k ${k}; allowed: a whole number of 1 or more`);
          }
          const kept = Math.min(k, size);
          const scores = new Float32Array(count * kept);
          const positions = new Int32Array(count * kept);
          if (kept === 0) return { k: 0, scores, positions };
          for (const [first, end] of blocksOf(count, size * dimension)) {
            if (signal?.aborted === true) throw new KindredError('CANCELLED', 'cancelled by the caller');
            const block = queries.slice(first * dimension, end * dimension);
            // The pool is not handed the signal: it would end the thread, and with it every index.
            const found = await pool.run('search', { handle, queries: block, k: kept }, { transfer: [block.buffer] });
            scores.set(found.scores, first * kept);
            positions.set(found.positions, first * kept);
            onProgress?.(end);
          }
          return { k: kept, scores, positions };
        },
        async reset() {
          const old = handle;
          handle = await pool.run('create', dimension);
          size = 0;
          await pool.run('drop', old);
        },
        close: () => pool.run('drop', handle),
      };
    },
    mine: (request, options = {}) => mineIn(pool, request, options),
    close: () => pool.close(),
  };
}

/** Ranges of queries of about equal length, so that no last block is small enough for faiss's slower way. */
function* blocksOf(count: number, productsPerQuery: number): Generator<[number, number]> {
  const wanted = Math.floor(productsPerCall / productsPerQuery);
  const most = Math.min(maxQueriesPerCall, Math.max(minQueriesPerCall, wanted));
  const blocks = Math.ceil(count / most);
  for (let block = 0; block < blocks; block++) {
    yield [Math.floor((block * count) / blocks), Math.floor(((block + 1) * count) / blocks)];
  }
}

function rowsOf(values: Float32Array, dimension: number): number {
  const rows = values.length / dimension;
  if (Number.isInteger(rows)) return rows;
  throw new KindredError(
    'INVALID_ARGUMENT',
    `faiss: got ${values.length} numbers; allowed: a multiple of the dimension ${dimension}`,
  );
}
