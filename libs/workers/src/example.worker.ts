// The worker of this library's own tests: one function of each kind.
import { KindredError } from '@kindred/errors';
import { threadId } from 'node:worker_threads';
import { workerTask } from './task.js';

/** Doubles each value; the result moves. */
export const double = workerTask(
  (values: Float32Array) => ({ doubled: values.map((value) => value * 2), threadId }),
  ({ doubled }) => [doubled.buffer as ArrayBuffer],
);

/** Always fails, with fields. */
export const refuse = workerTask((field: string) => {
  throw new KindredError('INVALID_ARGUMENT', 'refused', { violations: [{ field, description: 'got it' }] });
});

/** Blocks its thread for `ms` milliseconds. */
export const block = workerTask((ms: number) => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
});
