// The thread that holds the faiss indexes. One thread for all: faiss brings its own threads for each call.
import { createRequire } from 'node:module';
import { KindredError } from '@kindred/errors';
import { workerTask } from '@kindred/workers';
import { orderTies } from './order-ties.js';

/** The index, wider than the package declares it: with the set-up's patch typed arrays go in and come out. */
interface Index {
  add(vectors: Float32Array | number[]): void;
  search(
    queries: Float32Array | number[],
    k: number,
  ): { distances: ArrayLike<number>; labels: ArrayLike<number | bigint> };
  removeIds(positions: number[]): number;
  ntotal(): number;
}

interface Addon {
  readonly IndexFlatIP: new (dimension: number) => Index;
}

const indexes = new Map<number, Index>();
let addon: Addon | null = null;
/** Turns vectors into what the addon takes: itself, or a plain array for a package without the patch (slow). */
let argument: (vectors: Float32Array) => Float32Array | number[] = (vectors) => vectors;
let lastHandle = 0;

/** Makes an empty index; returns its handle. */
export const create = workerTask((dimension: number): number => {
  indexes.set(++lastHandle, new (loadAddon().IndexFlatIP)(dimension));
  return lastHandle;
});

/** Appends vectors, [n, dimension]; returns the number of vectors after that. */
export const add = workerTask(({ handle, vectors }: { handle: number; vectors: Float32Array }): number => {
  const index = indexOf(handle);
  if (vectors.length > 0) index.add(argument(vectors));
  return index.ntotal();
});

/** Takes vectors out; those after them move up. Returns the number of vectors after that. */
export const remove = workerTask(({ handle, positions }: { handle: number; positions: Int32Array }): number => {
  const index = indexOf(handle);
  if (positions.length > 0) index.removeIds(Array.from(positions));
  return index.ntotal();
});

/** The nearest vectors of each query; `k` is at most the number of vectors. */
export const search = workerTask(
  ({ handle, queries, k }: { handle: number; queries: Float32Array; k: number }) => {
    const { distances, labels } = indexOf(handle).search(argument(queries), k);
    const scores = distances instanceof Float32Array ? distances : Float32Array.from(distances);
    const positions = Int32Array.from(labels, Number);
    orderTies(scores, positions, k);
    return { scores, positions };
  },
  ({ scores, positions }) => [scores.buffer as ArrayBuffer, positions.buffer as ArrayBuffer],
);

/** Frees an index. */
export const drop = workerTask((handle: number): void => {
  indexes.delete(handle);
});

function indexOf(handle: number): Index {
  const index = indexes.get(handle);
  if (index === undefined) throw new KindredError('FAILED_PRECONDITION', `faiss index ${handle} is closed`);
  return index;
}

function loadAddon(): Addon {
  try {
    if (addon !== null) return addon;
    addon = createRequire(import.meta.url)('faiss-node') as Addon;
    if (!takesTypedArrays(addon)) argument = (vectors) => Array.from(vectors);
    return addon;
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
    throw new KindredError('FAILED_PRECONDITION', `faiss-node does not load (${reason}); run \`npm run setup\``, {
      cause,
    });
  }
}

function takesTypedArrays({ IndexFlatIP }: Addon): boolean {
  try {
    new IndexFlatIP(1).add(Float32Array.of(1));
    return true;
  } catch {
    return false;
  }
}
