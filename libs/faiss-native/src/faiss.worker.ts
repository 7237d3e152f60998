// The thread that holds the faiss indexes. One thread for all: faiss brings its own threads for each call.
import { KindredError } from '@kindred/errors';
import { workerTask } from '@kindred/workers';
import type { IndexFlatIP } from 'faiss-node';
import { loadFaiss } from './addons.js';
import { orderTies } from './order-ties.js';

export { addToMining, advanceMining, beginMining, endMining, miningResult } from './mining-tasks.js';

const indexes = new Map<number, IndexFlatIP>();
let lastHandle = 0;

/** Makes an empty index; returns its handle. */
export const create = workerTask((dimension: number): number => {
  indexes.set(++lastHandle, new (loadFaiss().IndexFlatIP)(dimension));
  return lastHandle;
});

/** Appends vectors, [n, dimension]; returns the number of vectors after that. */
export const add = workerTask(({ handle, vectors }: { handle: number; vectors: Float32Array }): number => {
  const index = indexOf(handle);
  if (vectors.length > 0) index.add(vectors);
  return index.ntotal();
});

/** Takes vectors out; those after them move up. Returns the number of vectors after that. */
export const remove = workerTask(({ handle, positions }: { handle: number; positions: Int32Array }): number => {
  const index = indexOf(handle);
  if (positions.length > 0) index.removeIds(BigInt64Array.from(positions, BigInt));
  return index.ntotal();
});

/** The nearest vectors of each query; `k` is at most the number of vectors. */
export const search = workerTask(
  ({ handle, queries, k }: { handle: number; queries: Float32Array; k: number }) => {
    const { distances: scores, labels } = indexOf(handle).search(queries, k);
    const positions = Int32Array.from(labels, Number);
    orderTies(scores, positions, k);
    return { scores, positions };
  },
  ({ scores, positions }) => [scores.buffer, positions.buffer],
);

/** Frees an index. */
export const drop = workerTask((handle: number): void => {
  indexes.delete(handle);
});

function indexOf(handle: number): IndexFlatIP {
  const index = indexes.get(handle);
  if (index === undefined) throw new KindredError('FAILED_PRECONDITION', `faiss index ${handle} is closed`);
  return index;
}
