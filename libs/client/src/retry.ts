// Calls again what may succeed later: when the service says, and never past the caller's deadline.
import { setTimeout as delay } from 'node:timers/promises';
import { isKindredError } from '@kindred/errors';

/** When a call may be made again. */
export interface RetryOptions {
  /** End of all attempts, in milliseconds of `Date.now`. */
  readonly until: number;
  /** First pause where the service names none, in milliseconds; doubled each time up to a second. */
  readonly firstPauseMs: number;
  readonly signal: AbortSignal;
}

const maxPauseMs = 1000;

/**
 * Makes `attempt` again after RESOURCE_EXHAUSTED that names a time (the queue was full) and after UNAVAILABLE (the service restarts),
 * each pause lengthened by up to a quarter by chance, so that refused callers do not come back together. Its last error is thrown
 * once a pause would pass `until`.
 */
export async function withRetries<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  let pauseMs = options.firstPauseMs;
  for (;;) {
    try {
      return await attempt();
    } catch (thrown) {
      const wait = pauseAfter(thrown, pauseMs);
      if (wait === null) throw thrown;
      const jittered = wait * (1 + Math.random() / 4);
      if (Date.now() + jittered > options.until) throw thrown;
      await delay(jittered, undefined, { signal: options.signal });
      pauseMs = Math.min(maxPauseMs, pauseMs * 2);
    }
  }
}

/** How long to wait after an error, in milliseconds; null where trying again is of no use. */
function pauseAfter(thrown: unknown, pauseMs: number): number | null {
  if (isKindredError(thrown, 'UNAVAILABLE')) return thrown.retryAfterMs ?? pauseMs;
  // Without a time it is a limit that the same request will pass again.
  if (isKindredError(thrown, 'RESOURCE_EXHAUSTED')) return thrown.retryAfterMs;
  return null;
}
