// Work off the event loop: worker threads and child processes that start the same from source and from a bundle.
export { createWorkerPool } from './pool.js';
export type { WorkerPool, WorkerPoolOptions } from './pool.js';
export { forkProcess, workerEntry } from './entry.js';
export type { WorkerEntry } from './entry.js';
export { workerTask } from './task.js';
