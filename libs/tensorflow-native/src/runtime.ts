// Loads the native addon, once a process, with the environment that it reads at that moment.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { KindredError, invalidField } from '@kindred/errors';
import type { NativeBackend } from './native.js';

const packageName = '@tensorflow/tfjs-node-gpu';

// All clusters, whatever their size; the second flag is what makes the first hold for a CPU.
const xlaFlags = '--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit';

/** How TensorFlow is started. Read at the first call of {@link loadTensorFlow} in a process; later ones must not differ. */
export interface TensorFlowOptions {
  /** Threads inside one operation. @default all cores */
  readonly intraOpThreads?: number;
  /**
   * Operations that may run side by side; more than one gained nothing on a CPU (docs/decisions/0004).
   * @default `TF_NUM_INTEROP_THREADS`, else 1
   */
  readonly interOpThreads?: number;
  /** Whether XLA compiles clusters of operations; half as fast on a CPU (docs/decisions/0004). @default false */
  readonly xla?: boolean;
  /**
   * Whether NVIDIA's libraries may round float32 products to 10 bits of mantissa (TF32); no effect on a CPU.
   * @default true, as TensorFlow's
   */
  readonly tf32?: boolean;
}

/** The loaded runtime. */
export interface TensorFlowRuntime {
  /** tfjs-core with the native backend set. */
  readonly tf: typeof tf;
  /** What operations run on, found out at run time. */
  readonly device: 'cpu' | 'gpu';
  /** TensorFlow's version, e.g. `2.21.0`. */
  readonly version: string;
  /** Instruction set of our own convolutions (`AVX-512`, `AVX2`); null where only TensorFlow's can be used. */
  readonly winograd: string | null;
  /** The tfjs backend over the addon. */
  readonly backend: NativeBackend;
}

let loaded: { runtime: TensorFlowRuntime; options: TensorFlowOptions } | null = null;

/**
 * Loads TensorFlow (about 0.5 s the first time, then at once). One thread a process may call it, as the addon's state is
 * process-wide; a worker thread must be started with `SHARE_ENV`, else its `process.env` does not reach native code.
 *
 * @throws KindredError FAILED_PRECONDITION when the addon has not been built here, our operations beside it can't be loaded, or it
 * was loaded with other options.
 */
export function loadTensorFlow(options: TensorFlowOptions = {}): TensorFlowRuntime {
  if (loaded !== null) {
    requireSameOptions(loaded.options, options);
    return loaded.runtime;
  }
  setEnvironment(options);
  loadPackage();
  const backend = tf.backend() as unknown as NativeBackend;
  if (tf.getBackend() !== 'tensorflow') {
    throw new KindredError(
      'INTERNAL',
      `tfjs runs on the '${tf.getBackend()}' backend after ${packageName} was loaded: there are two copies of tfjs-core; run 'npm ci'`,
    );
  }
  const device = backend.binding.isUsingGpuDevice() ? 'gpu' : 'cpu';
  const runtime: TensorFlowRuntime = {
    tf,
    device,
    winograd: device === 'cpu' ? loadOperations() : null,
    version: backend.binding.TF_Version,
    backend,
  };
  loaded = { runtime, options };
  return runtime;
}

function setEnvironment({ intraOpThreads, interOpThreads, xla, tf32 }: TensorFlowOptions): void {
  for (const [field, value] of Object.entries({ intraOpThreads, interOpThreads })) {
    if (value !== undefined && (!Number.isInteger(value) || value < 1)) {
      throw invalidField(`tensorflow.${field}`, `got ${value}; allowed: a whole number above 0`);
    }
  }
  // Without this oneDNN is off on AMD processors, which makes convolutions several times slower.
  process.env['TF_ENABLE_ONEDNN_OPTS'] ??= '1';
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  // Several services may share a GPU: left alone, TensorFlow takes nearly all of its memory at the start of the first.
  process.env['TF_FORCE_GPU_ALLOW_GROWTH'] ??= 'true';
  // Without this TensorFlow turns each map around before and after BatchNorm in 16 bits: twice the time of a step (docs/decisions/0014).
  process.env['TF_USE_CUDNN_BATCHNORM_SPATIAL_PERSISTENT'] ??= '1';
  if (intraOpThreads !== undefined) process.env['TF_NUM_INTRAOP_THREADS'] = String(intraOpThreads);
  if (interOpThreads !== undefined) process.env['TF_NUM_INTEROP_THREADS'] = String(interOpThreads);
  process.env['TF_NUM_INTEROP_THREADS'] ??= '1';
  if (xla === true) process.env['TF_XLA_FLAGS'] = [process.env['TF_XLA_FLAGS'], xlaFlags].filter(Boolean).join(' ');
  // NVIDIA's own switch; it stands above what TensorFlow asks for.
  if (tf32 === false) process.env['NVIDIA_TF32_OVERRIDE'] = '0';
}

function loadPackage(): void {
  try {
    createRequire(import.meta.url)(packageName);
  } catch (cause) {
    throw new KindredError(
      'FAILED_PRECONDITION',
      `TensorFlow's native addon can't be loaded (${firstLine(cause)}); run 'npm run setup' once, it builds it`,
      { cause },
    );
  }
}

/** Registers our own operations with TensorFlow; set-up builds them on x86-64 only. */
function loadOperations(): string | null {
  const require = createRequire(import.meta.url);
  const folder = dirname(require.resolve(`${packageName}/package.json`));
  const addon = join(folder, 'lib/napi-v8/kindred_operations.node');
  if (!existsSync(addon)) return null;
  try {
    return (require(addon) as { readonly instructions: string | null }).instructions;
  } catch (cause) {
    throw new KindredError(
      'FAILED_PRECONDITION',
      `our TensorFlow operations can't be loaded from ${addon} (${firstLine(cause)}): they were built for another TensorFlow or Node, or are damaged; ` +
        `run 'npm run setup' to build them anew, or delete the file to train with TensorFlow's own, slower ones`,
      { cause, resource: { type: 'file', name: addon } },
    );
  }
}

function firstLine(cause: unknown): string {
  return cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
}

function requireSameOptions(first: TensorFlowOptions, second: TensorFlowOptions): void {
  for (const field of ['intraOpThreads', 'interOpThreads', 'xla', 'tf32'] as const) {
    if (second[field] !== undefined && second[field] !== first[field]) {
      throw new KindredError(
        'FAILED_PRECONDITION',
        `TensorFlow runs in this process with ${field}=${first[field] ?? 'default'}, asked for ${second[field]}; one process has one setting`,
      );
    }
  }
}
