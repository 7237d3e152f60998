// The native part: one addon, compiled by set-up from `../native` into faiss-node's build folder, loaded when it is first needed.
import { createRequire } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import { KindredError } from '@kindred/errors';

/** Mining, in the addon. Calls are synchronous and run on all cores. */
export interface MiningAddon {
  /** Instruction sets that this processor can run, fastest first; the first is used unless another is named. */
  readonly kernels: readonly string[];
  readonly Mining: new (rows: number, dimension: number, k: number, kernel?: string, threads?: number) => NativeMining;
}

/** One mining under way. */
export interface NativeMining {
  /** Copies the next vectors, [n, dimension]. */
  add(vectors: Float32Array): void;
  /** Rounds that the work has. */
  rounds(): number;
  /** Does that many rounds more; those past the last do nothing. */
  advance(rounds: number): void;
  /** What was found, [rows, k]; null when some vector has fewer than `k` products that are numbers. */
  result(): { readonly scores: Float32Array<ArrayBuffer>; readonly positions: Int32Array<ArrayBuffer> } | null;
}

/** An index of faiss, in the addon. */
export interface NativeIndex {
  bytes(): number;
  close(): void;
}

interface NativeRows {
  readonly vectors: Float32Array;
  readonly rows: number;
  readonly dimension: number;
}

/** Searches and indexes; every field is needed, "nothing" is null. Work is done on the addon's threads. */
export interface VectorsAddon {
  search(request: {
    readonly segments: readonly (NativeRows & {
      readonly allowed: Uint8Array | null;
      readonly index: NativeIndex | null;
    })[];
    readonly queries: Float32Array;
    readonly dimension: number;
    readonly k: number;
    readonly l2: boolean;
    readonly efSearch: number;
    readonly probes: number;
    readonly refine: number;
    /** [1]; not 0: the answer is no longer wanted. */
    readonly cancelled: Int32Array;
  }): Promise<{ readonly scores: Float32Array; readonly positions: Int32Array }>;
  buildIndex(
    request: NativeRows & {
      readonly kind: string;
      readonly l2: boolean;
      readonly links: number;
      readonly efConstruction: number;
      readonly lists: number;
      readonly subvectors: number;
      readonly threads: number;
      readonly cancelled: Int32Array;
    },
  ): Promise<{ readonly index: NativeIndex; readonly bytes: Uint8Array }>;
  loadIndex(
    request: NativeRows & { readonly kind: string; readonly l2: boolean; readonly bytes: Uint8Array },
  ): Promise<NativeIndex>;
  exportFaiss(
    request: NativeRows & {
      readonly path: string;
      readonly l2: boolean;
      readonly bytes: Uint8Array | null;
      readonly ids: BigInt64Array;
    },
  ): Promise<void>;
  crc32c(bytes: Uint8Array, before: number): number;
}

/** The addon whole. */
export type FaissAddon = MiningAddon & VectorsAddon;

const file = 'faiss-node/build/Release/kindred-faiss.node';
let loaded: FaissAddon | null = null;

/**
 * Threads for searches together, and for mining: whole numbers from 1. To be called in the process' main thread before anything else here is
 * used. @default the machine's cores, which a container's limit of time does not change. FAILED_PRECONDITION when the addon is loaded already.
 */
export function setSearchThreads(threads: number): void {
  if (!isMainThread || loaded !== null) {
    throw new KindredError(
      'FAILED_PRECONDITION',
      'the number of threads is chosen once, in the main thread, before the addon is loaded',
    );
  }
  // libgomp reads this when it is loaded, and the addon's pool asks libgomp; in the main thread it is the process' environment.
  process.env.OMP_NUM_THREADS = String(threads);
  // faiss trains its cells and codes by it.
  process.env.OPENBLAS_NUM_THREADS ??= String(threads);
}

/** Loads the addon, once a thread. FAILED_PRECONDITION when that fails. */
export function loadAddon(): FaissAddon {
  // libgomp reads this when it is loaded: its idle threads otherwise spin on the cores that others compute on
  // (10,000² × 128 on two cores: 0.24 s instead of 0.37 s, 0.4 s instead of 2.5 s where other processes are busy).
  process.env.OMP_WAIT_POLICY ??= 'PASSIVE';
  try {
    return (loaded ??= createRequire(import.meta.url)(file) as FaissAddon);
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
    throw new KindredError('FAILED_PRECONDITION', `${file} does not load (${reason}); run \`npm run setup\``, {
      cause,
    });
  }
}
