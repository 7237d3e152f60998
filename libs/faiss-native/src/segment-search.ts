// Searching parts of a collection, and the faiss indexes over them: typed arrays in, promises out, off the event loop.
import { KindredError } from '@kindred/errors';
import { loadAddon, type NativeIndex } from './addons.js';

/** An index of faiss over rows that lie in a typed array, which it keeps alive. */
export interface SegmentIndex {
  /** What the addon knows it by; null once it is closed: its rows are then compared one by one. */
  readonly native: NativeIndex | null;
  /** Memory beside the rows, in bytes. */
  bytes(): number;
  /** Frees it once no search uses it. */
  close(): void;
}

/** Index kinds of faiss, with what each is built by. */
export type IndexPlan =
  | { readonly kind: 'hnsw'; readonly links: number; readonly efConstruction: number }
  | { readonly kind: 'ivf-flat'; readonly lists: number }
  | { readonly kind: 'ivf-pq'; readonly lists: number; readonly subvectors: number }
  | { readonly kind: 'sq8' };

/** Rows, [rows, dimension]; the array may hold more. Read in place: it must not be changed meanwhile. */
export interface IndexedRows {
  readonly vectors: Float32Array;
  readonly rows: number;
  readonly dimension: number;
}

/** Rows that are searched. */
export interface SearchedRows extends IndexedRows {
  /** One bit a row, 1: may be found; null: all may. */
  readonly allowed: Uint8Array | null;
  /** Null: rows are compared one by one. */
  readonly index: SegmentIndex | null;
}

/** What is searched for. */
export interface RowSearch {
  readonly segments: readonly SearchedRows[];
  /** [n, dimension], n at least 1. */
  readonly queries: Float32Array;
  readonly dimension: number;
  /** At least 1. */
  readonly k: number;
  /** Whether scores are squared distances, smaller nearer; else inner products. */
  readonly l2: boolean;
  /** Candidates of graphs. */
  readonly efSearch: number;
  /** Cells of inverted files; 0: a sixteenth, at least 8. */
  readonly probes: number;
  /** Candidates of compressed indexes that are compared again, as a multiple of k. */
  readonly refine: number;
  /** Ends the search early: CANCELLED. */
  readonly signal?: AbortSignal;
}

/** Rows that were found, [n, k], nearest first, by position through the segments in their order; -1 behind the last. */
export interface FoundRows {
  readonly scores: Float32Array;
  readonly positions: Int32Array;
}

/**
 * The `k` nearest rows of each query. Where an index finds fewer than `k` of the allowed rows, or few are allowed, rows are
 * compared one by one: `k` are found where there are `k`. Scores do not depend on how a row was found. Searches run beside
 * each other on all cores.
 */
export async function searchRows({ signal, ...search }: RowSearch): Promise<FoundRows> {
  const cancelled = new Int32Array(1);
  const cancel = (): void => void Atomics.store(cancelled, 0, 1);
  if (signal?.aborted === true) throw new KindredError('CANCELLED', 'cancelled by the caller');
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    const segments = search.segments.map((one) => ({ ...one, index: one.index?.native ?? null }));
    return await loadAddon().search({ ...search, segments, cancelled });
  } catch (thrown) {
    throw cancelled[0] === 1 ? new KindredError('CANCELLED', 'cancelled by the caller') : faissError(thrown);
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

/** Options of {@link buildIndex}. */
export interface BuildOptions {
  readonly l2: boolean;
  /** Cores that may work on it, at low priority. @default 1 */
  readonly threads?: number;
  readonly signal?: AbortSignal;
}

/** Builds an index. @returns it, and the bytes that {@link loadIndex} makes it from again (without the rows, for HNSW). */
export async function buildIndex(
  rows: IndexedRows,
  plan: IndexPlan,
  { l2, threads = 1, signal }: BuildOptions,
): Promise<{ readonly index: SegmentIndex; readonly bytes: Uint8Array }> {
  const cancelled = new Int32Array(1);
  const cancel = (): void => void Atomics.store(cancelled, 0, 1);
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    const defaults = { links: 0, efConstruction: 0, lists: 0, subvectors: 0 };
    const built = await loadAddon().buildIndex({ ...defaults, ...plan, ...plainRows(rows), l2, threads, cancelled });
    return { index: handleOf(built.index), bytes: built.bytes };
  } catch (thrown) {
    throw cancelled[0] === 1 ? new KindredError('CANCELLED', 'cancelled by the caller') : faissError(thrown);
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

/** Makes an index from the bytes of {@link buildIndex}. DATA_LOSS when they are not one of this kind over these rows. */
export async function loadIndex(
  rows: IndexedRows,
  kind: IndexPlan['kind'],
  { bytes, l2 }: { readonly bytes: Uint8Array; readonly l2: boolean },
): Promise<SegmentIndex> {
  try {
    return handleOf(await loadAddon().loadIndex({ ...plainRows(rows), kind, l2, bytes }));
  } catch (thrown) {
    throw new KindredError('DATA_LOSS', `the index cannot be read: ${textOf(thrown)}`, { cause: thrown });
  }
}

/**
 * Writes a file that plain faiss reads with `read_index`: an IndexIDMap that answers `ids`, [rows]; -1: nobody shall find that
 * row. `bytes` of {@link buildIndex}; null: IndexFlat.
 */
export async function exportFaiss(
  rows: IndexedRows,
  file: { readonly path: string; readonly bytes: Uint8Array | null; readonly l2: boolean; readonly ids: BigInt64Array },
): Promise<void> {
  try {
    await loadAddon().exportFaiss({ ...plainRows(rows), ...file });
  } catch (thrown) {
    throw faissError(thrown);
  }
}

/** CRC-32C of `bytes`, going on from that of what came `before`. 0 to 2^32 - 1. */
export function crc32c(bytes: Uint8Array, before = 0): number {
  return loadAddon().crc32c(bytes, before);
}

function plainRows({ vectors, rows, dimension }: IndexedRows): IndexedRows {
  return { vectors, rows, dimension };
}

function handleOf(native: NativeIndex): SegmentIndex {
  let open: NativeIndex | null = native;
  return {
    get native() {
      return open;
    },
    bytes: () => open?.bytes() ?? 0,
    close() {
      open?.close();
      open = null;
    },
  };
}

function faissError(thrown: unknown): KindredError {
  const text = textOf(thrown);
  const code = text === 'out of memory' ? 'RESOURCE_EXHAUSTED' : 'INTERNAL';
  return new KindredError(code, `faiss: ${text}`, { cause: thrown });
}

function textOf(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.message.split('\n')[0] ?? '') : String(thrown);
}
