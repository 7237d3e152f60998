// A bounded pool of worker threads over piscina: full is an error with a code, a dead thread is named.
import { KindredError, deserializeError, isKindredError } from '@kindred/errors';
import type { MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { WorkerEntry } from './entry.js';
import type { WorkerReply } from './task.js';

/** How many threads, what they know from their start, and how much may wait for them. */
export interface WorkerPoolOptions {
  /** The threads' file; its exports made by `workerTask` are the pool's functions. */
  readonly entry: WorkerEntry;
  /** Threads, all started at once and kept. Use 1 for state that lives in the thread. @default 1 */
  readonly threads?: number;
  /**
   * Calls that are handed to a thread at one time. With two, the next one lies in the thread's own queue when the one before ends, and
   * the thread need not wait for this side to notice; functions that return promises then run beside each other. @default 1
   */
  readonly callsPerThread?: number;
  /** Calls that may wait for a thread; one more is RESOURCE_EXHAUSTED. @default 1024 */
  readonly maxQueued?: number;
  /** Handed to each thread at its start (`workerData` of piscina). */
  readonly workerData?: unknown;
  /** Environment of the threads. @default the process's own */
  readonly env?: NodeJS.ProcessEnv;
}

/** The worker file's functions, as the calling side sees them. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a bound on function types needs it; callers stay typed
export type WorkerFunctions = Record<string, (request: any) => Promise<WorkerReply<any>>>;

type RequestOf<F> = F extends (request: infer Q) => unknown ? Q : never;
type ResultOf<F> = F extends (request: never) => Promise<WorkerReply<infer R>> ? R : never;

/** A running pool. `T` is `typeof import('./x.worker.js')`. */
export interface WorkerPool<T> {
  /**
   * Calls the function `name` on a free thread. Errors arrive with the code and fields that the thread gave them.
   * An aborted `signal` drops a waiting call (CANCELLED); a call already running on a thread ends that thread.
   */
  run<N extends keyof T & string>(
    name: N,
    request: RequestOf<T[N]>,
    options?: { readonly signal?: AbortSignal; readonly transfer?: (ArrayBuffer | MessagePort)[] },
  ): Promise<ResultOf<T[N]>>;
  /** Calls that wait for a thread now. */
  queued(): number;
  /** Ends all threads; waiting calls are rejected. */
  close(): Promise<void>;
}

/** Starts the threads of a pool. */
export function createWorkerPool<T>(options: WorkerPoolOptions): WorkerPool<T> {
  const threads = options.threads ?? 1;
  const maxQueued = options.maxQueued ?? 1024;
  const pool = new Piscina({
    filename: options.entry.filename,
    execArgv: options.entry.execArgv,
    minThreads: threads,
    maxThreads: threads,
    maxQueue: maxQueued,
    concurrentTasksPerWorker: options.callsPerThread ?? 1,
    idleTimeout: Infinity,
    workerData: options.workerData,
    env: options.env as Record<string, string> | undefined,
    // A thread that waits by Atomics cannot answer anything else; these threads may hold timers and native handles.
    atomics: 'disabled',
  });
  /** Of the calls that have not ended. */
  const rejects = new Set<(error: Error) => void>();
  // A thread that cannot start: piscina starts no other, and calls that wait for it would wait for ever.
  pool.on('error', (error) => {
    for (const reject of rejects) reject(error);
  });
  const call = (request: unknown, options: Parameters<typeof pool.run>[1]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      rejects.add(reject);
      pool
        .run(request, options)
        .then(resolve, reject)
        .finally(() => rejects.delete(reject));
    });

  return {
    async run(name, request, { signal, transfer } = {}) {
      let reply: WorkerReply<ResultOf<T[typeof name]>>;
      try {
        reply = (await call(request, { name, signal, transferList: transfer })) as typeof reply;
      } catch (thrown) {
        throw poolError(thrown, maxQueued);
      }
      if ('error' in reply) throw deserializeError(reply.error);
      return reply.value;
    },
    queued: () => pool.queueSize,
    close: () => pool.destroy(),
  };
}

/** Gives piscina's own failures a code. */
function poolError(thrown: unknown, maxQueued: number): Error {
  if (isKindredError(thrown)) return thrown;
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  if (error.name === 'AbortError') return new KindredError('CANCELLED', 'cancelled by the caller', { cause: error });
  if (error.message.startsWith('Task queue is at limit')) {
    return new KindredError('RESOURCE_EXHAUSTED', `${maxQueued} calls already wait for a worker thread; retry later`, {
      retryAfterMs: 100,
      cause: error,
    });
  }
  return new KindredError('INTERNAL', `worker thread failed: ${error.message}`, { cause: error });
}
