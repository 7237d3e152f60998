// The worker's side of a pool: wraps a handler so that errors keep their code and fields across the thread boundary.
import { serializeError, type SerializedError } from '@kindred/errors';
import { move } from 'piscina';

/** What a worker sends back: a value, or an error as plain data. */
export type WorkerReply<R> = { readonly value: R } | { readonly error: SerializedError };

/**
 * Makes a pool's function out of `handler`: `export const search = workerTask((request: Query) => …)`.
 * The buffers that `transferOf` names move to the caller instead of being copied.
 */
export function workerTask<Q, R>(
  handler: (request: Q) => R | Promise<R>,
  transferOf: (result: R) => ArrayBuffer[] = () => [],
): (request: Q) => Promise<WorkerReply<R>> {
  return async (request) => {
    try {
      const value = await handler(request);
      const buffers = transferOf(value);
      return buffers.length === 0 ? { value } : withMoved({ value }, buffers);
    } catch (thrown) {
      return { error: serializeError(thrown) };
    }
  };
}

/** Wraps `reply` as piscina wants it for a value whose buffers move; the caller receives `reply` itself. */
function withMoved<R>(reply: WorkerReply<R>, buffers: ArrayBuffer[]): WorkerReply<R> {
  const movable = {
    [Symbol.for('Piscina.transferable')]: buffers,
    [Symbol.for('Piscina.valueOf')]: reply,
  };
  return move(movable as never) as unknown as WorkerReply<R>;
}
