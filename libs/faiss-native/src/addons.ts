// The two native parts, loaded when they are first needed: faiss, and mining, which set-up compiles beside it.
import { createRequire } from 'node:module';
import { KindredError } from '@kindred/errors';
import type * as Faiss from 'faiss-node';

/** What `libs/faiss-native/native` compiles to. Calls are synchronous and run on all cores. */
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

/** Loads faiss. FAILED_PRECONDITION when that fails. */
export function loadFaiss(): typeof Faiss {
  return load('faiss-node') as typeof Faiss;
}

/** Loads the mining addon. FAILED_PRECONDITION when that fails. */
export function loadMining(): MiningAddon {
  return load('faiss-node/build/Release/mining.node') as MiningAddon;
}

function load(name: string): unknown {
  try {
    return createRequire(import.meta.url)(name);
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
    throw new KindredError('FAILED_PRECONDITION', `${name} does not load (${reason}); run \`npm run setup\``, {
      cause,
    });
  }
}
