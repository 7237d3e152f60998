// The thread that holds the faiss indexes. One thread for all: faiss brings its own threads for each call.
import { createRequire } from 'node:module';
import { KindredError } from '@kindred/errors';
import { workerTask } from '@kindred/workers';
import type * as Addon from 'faiss-node';
import { orderTies } from './order-ties.js';

const indexes = new Map<number, Addon.IndexFlatIP>();
let addon: typeof Addon | null = null;
let lastHandle = 0;

/** Makes an empty index; returns its handle. */
export const create = workerTask((dimension: number): number => {
  indexes.set(++lastHandle, new (loadAddon().IndexFlatIP)(dimension));
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

function indexOf(handle: number): Addon.IndexFlatIP {
  const index = indexes.get(handle);
  if (index === undefined) throw new KindredError('FAILED_PRECONDITION', `faiss index ${handle} is closed`);
  return index;
}

function loadAddon(): typeof Addon {
  try {
    addon ??= createRequire(import.meta.url)('faiss-node') as typeof Addon;
    return addon;
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
    throw new KindredError('FAILED_PRECONDITION', `faiss-node does not load (${reason}); run \`npm run setup\``, {
      cause,
    });
  }
}
