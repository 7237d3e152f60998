// Room in a queue for those who wait for it instead of being refused: streams, which are not read meanwhile, and jobs.
import { setTimeout as delay } from 'node:timers/promises';
import { isKindredError } from '@kindred/errors';
import type { BatchQueue, Caller, Place } from './batch-queue.js';

/** Enters `queue` once it has room for `images` that hold `bytes`. CANCELLED where `signal` comes first. */
export async function enterPatiently(
  queue: BatchQueue,
  caller: Caller,
  images: number,
  bytes: number,
  signal: AbortSignal,
): Promise<Place> {
  for (;;) {
    signal.throwIfAborted();
    try {
      return queue.enter(caller, images, bytes, signal);
    } catch (thrown) {
      if (!isKindredError(thrown, 'RESOURCE_EXHAUSTED')) throw thrown;
      await delay(thrown.retryAfterMs ?? 100, undefined, { signal });
    }
  }
}
