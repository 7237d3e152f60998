// Patience with another service: tries again when that helps, waits as long as it asks for, and lets it be while it is down.
import { setTimeout as delay } from 'node:timers/promises';
import { KindredError, isKindredError } from '@kindred/errors';
import {
  BrokenCircuitError,
  CircuitState,
  ConsecutiveBreaker,
  ExponentialBackoff,
  IterableBackoff,
  circuitBreaker,
  decorrelatedJitterGenerator,
  handleWhen,
} from 'cockatiel';
import { currentCall } from './call-scope.js';
import { counter, gauge } from './metrics.js';

/** How patient to be, and with whom. */
export interface PeerPolicyOptions {
  /** The service, for errors and metrics. */
  readonly service: string;
  /** Tries of one call, the first included. @default 5 */
  readonly maxAttempts?: number;
  /** Pause after the first failure, in milliseconds; grows to `maxPauseMs` with jitter. RetryInfo goes before. @default 50 */
  readonly pauseMs?: number;
  /** @default 5000 */
  readonly maxPauseMs?: number;
  /** Failures in a row after which calls fail at once. @default 10 */
  readonly breakAfter?: number;
  /** How long they do, in milliseconds; then one call is let through to see. @default 2000 */
  readonly breakMs?: number;
}

/** What binds one call. */
export interface PeerCallOptions {
  readonly signal?: AbortSignal;
  /** The caller waits no longer than this, in milliseconds; the deadline of the call being served binds, too. */
  readonly deadlineMs?: number;
}

/** A policy; one for each peer, since it remembers how the peer did. */
export interface PeerPolicy {
  /**
   * Calls `attempt` until it succeeds, fails for good, or no try is left in the time there is. Give it idempotent work only.
   * Tried again are UNAVAILABLE, and whatever carries RetryInfo.
   * @throws the last error; KindredError UNAVAILABLE with `retryAfterMs` while the peer is let be.
   */
  call<T>(attempt: () => Promise<T>, options?: PeerCallOptions): Promise<T>;
  /** Whether calls go through (`closed`), fail at once (`open`), or one is under way to see (`half-open`). */
  state(): 'closed' | 'open' | 'half-open';
}

const retries = counter('kindred_peer_retries_total', 'Calls to another service that were tried again.', [
  'service',
  'code',
]);
const circuits = gauge(
  'kindred_peer_circuit_open',
  'Whether calls to another service fail at once because it failed too often: 1, or 0.',
  ['service'],
);

/** Makes a policy. */
export function createPeerPolicy(options: PeerPolicyOptions): PeerPolicy {
  const { service, maxAttempts = 5, pauseMs = 50, maxPauseMs = 5000, breakAfter = 10, breakMs = 2000 } = options;
  // Only a peer that does not answer breaks the circuit: one that refuses, or is busy, is there.
  const breaker = circuitBreaker(
    handleWhen((error) => isKindredError(error, 'UNAVAILABLE')),
    {
      halfOpenAfter: new IterableBackoff([breakMs]),
      breaker: new ConsecutiveBreaker(breakAfter),
    },
  );
  circuits.set({ service }, 0);
  breaker.onStateChange((state) => circuits.set({ service }, state === CircuitState.Open ? 1 : 0));
  const backoff = new ExponentialBackoff({
    initialDelay: pauseMs,
    maxDelay: maxPauseMs,
    generator: decorrelatedJitterGenerator,
  });

  const once = async <T>(attempt: () => Promise<T>): Promise<T> => {
    try {
      return await breaker.execute(attempt);
    } catch (thrown) {
      if (!(thrown instanceof BrokenCircuitError)) throw thrown;
      throw new KindredError(
        'UNAVAILABLE',
        `service ${service} did not answer ${breakAfter} times in a row; it is asked again after ${breakMs} ms`,
        { resource: { type: 'service', name: service }, retryAfterMs: breakMs, cause: thrown },
      );
    }
  };

  return {
    async call(attempt, { signal, deadlineMs = Infinity } = {}) {
      const end = Math.min(Date.now() + deadlineMs, currentCall()?.deadlineMs ?? Infinity);
      let pause = backoff.next();
      for (let tries = 1; ; tries++) {
        try {
          return await once(attempt);
        } catch (thrown) {
          if (tries >= maxAttempts || signal?.aborted === true || !isKindredError(thrown)) throw thrown;
          if (thrown.code !== 'UNAVAILABLE' && thrown.retryAfterMs === null) throw thrown;
          if (thrown.cause instanceof BrokenCircuitError) throw thrown;
          const waitMs = thrown.retryAfterMs ?? pause.duration;
          if (Date.now() + waitMs >= end) throw thrown;
          pause = pause.next(undefined);
          retries.inc({ service, code: thrown.code });
          await delay(waitMs, undefined, { signal });
        }
      }
    },
    state: () => stateNames[breaker.state],
  };
}

const stateNames: Readonly<Record<CircuitState, 'closed' | 'open' | 'half-open'>> = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.Open]: 'open',
  [CircuitState.HalfOpen]: 'half-open',
  [CircuitState.Isolated]: 'open',
};
