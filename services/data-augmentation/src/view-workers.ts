// The threads that make views, with a queue of their own in front: work of a caller who has left is dropped, not done.
import { KindredError } from '@kindred/errors';
import { Counter } from '@kindred/service-runtime';
import { createWorkerPool, workerEntry } from '@kindred/workers';
import type { LooseViewsRequest, ViewsRequest } from './augment.worker.js';
import { createSharedBuffers } from './shared-buffers.js';
import { viewShape } from './transformation.js';
import type * as AugmentWorker from './augment.worker.js';

/** Images that one thread takes at a time, about 8 ms of SimCLR views of CIFAR's size: what cancelling waits for at most. */
const imagesPerTask = 256;
/** Calls that may wait for a thread, over all streams; each stream has a few batches of at most 32 tasks each. */
const maxWaiting = 16_384;

const droppedTasks = new Counter({
  name: 'kindred_augmentation_dropped_tasks_total',
  help: 'Tasks that were dropped before they began because their caller had left.',
});

/** Views in memory that is used again. */
export interface LentViews {
  /** uint8 [indices, views, side, side, 3], one array in shared memory. */
  readonly views: Uint8Array;
  /** Gives the memory back: from now on other views may be written there. At most once; without it the memory becomes garbage. */
  giveBack(): void;
}

/** Makes views off the event loop. */
export interface ViewWorkers {
  /**
   * Views of images of a dataset. CANCELLED once `signal` is aborted.
   */
  viewsOf(request: ViewsRequest, signal: AbortSignal): Promise<LentViews>;
  /** Views of a request's own image: uint8 [views, side, side, 3], the caller's; likewise CANCELLED. */
  viewsOfLoose(request: LooseViewsRequest, signal: AbortSignal): Promise<Uint8Array>;
  /** Ends the threads. */
  close(): Promise<void>;
}

/** Starts `threads` threads. */
export function createViewWorkers(threads: number): ViewWorkers {
  const pool = createWorkerPool<typeof AugmentWorker>({
    entry: workerEntry(import.meta.url, 'augment'),
    threads,
  });
  // One task a thread waits inside the pool, so that no thread idles for the time of a message.
  const schedule = createSchedule(2 * threads, maxWaiting);
  const buffers = createSharedBuffers();

  return {
    async viewsOf(request, signal) {
      const { indices, transformation } = request;
      const { bytes } = viewShape(transformation);
      const buffer = buffers.take(indices.length * bytes);
      const batch = new Uint8Array(buffer);
      const shares: Promise<void>[] = [];
      for (let start = 0; start < indices.length; start += imagesPerTask) {
        const share = indices.slice(start, start + imagesPerTask);
        const out = batch.subarray(start * bytes, (start + share.length) * bytes);
        shares.push(schedule(() => pool.run('writeViews', { ...request, indices: share, out }), signal));
      }
      // After a failure other threads may still write: the buffer then goes back to nobody.
      await Promise.all(shares);
      return { views: batch, giveBack: () => buffers.give(buffer) };
    },
    viewsOfLoose: (request, signal) => schedule(() => pool.run('viewsOfLoose', request), signal),
    close: () => pool.close(),
  };
}

type Schedule = <T>(task: () => Promise<T>, signal: AbortSignal) => Promise<T>;

/** Runs at most `parallel` tasks at once, first come, first served; an abort takes a waiting task out of the queue. */
function createSchedule(parallel: number, maxQueued: number): Schedule {
  const waiting = new Set<() => void>();
  let running = 0;
  const startNext = (): void => {
    for (const start of waiting) {
      if (running >= parallel) return;
      waiting.delete(start);
      start();
    }
  };
  return (task, signal) =>
    new Promise((resolve, reject) => {
      const cancelled = (): KindredError => new KindredError('CANCELLED', 'cancelled by the caller');
      if (signal.aborted) return reject(cancelled());
      if (waiting.size >= maxQueued) {
        const text = `${maxQueued} tasks already wait for a thread; retry later`;
        return reject(new KindredError('RESOURCE_EXHAUSTED', text, { retryAfterMs: 1000 }));
      }
      const start = (): void => {
        signal.removeEventListener('abort', drop);
        running++;
        task()
          .then(resolve, reject)
          .finally(() => {
            running--;
            startNext();
          });
      };
      const drop = (): void => {
        waiting.delete(start);
        droppedTasks.inc();
        reject(cancelled());
      };
      signal.addEventListener('abort', drop, { once: true });
      waiting.add(start);
      startNext();
    });
}
