// The services that dataset jobs call, and patience with one that does not answer for a moment.
import { setTimeout as delay } from 'node:timers/promises';
import { isKindredError } from '@kindred/errors';
import { AugmentationServiceDefinition, type AugmentationServiceClient } from '@kindred/protocol/augmentation';
import { NeighborIndexServiceDefinition, type NeighborIndexServiceClient } from '@kindred/protocol/neighbors';
import { connect } from '@kindred/service-runtime';

/** Clients of the other services. */
export interface Peers {
  readonly augmentation: AugmentationServiceClient;
  readonly neighbors: NeighborIndexServiceClient;
  /** How long a service may fail to answer before a job gives up, in milliseconds. */
  readonly retryMs: number;
  /** Closes the connections. */
  close(): void;
}

/** Makes the connections; they open with the first call. */
export function connectPeers(augmentationAddress: string, neighborIndexAddress: string, retryMs: number): Peers {
  const augmentation = connect(AugmentationServiceDefinition, {
    service: 'data-augmentation',
    address: augmentationAddress,
  });
  const neighbors = connect(NeighborIndexServiceDefinition, {
    service: 'neighbor-index',
    address: neighborIndexAddress,
  });
  return {
    augmentation: augmentation.client,
    neighbors: neighbors.client,
    retryMs,
    close() {
      augmentation.close();
      neighbors.close();
    },
  };
}

const pauseMs = 200;

/**
 * Calls `attempt` until it succeeds or fails otherwise than by UNAVAILABLE, for at most `retryMs` without progress.
 * `attempt` calls `progressed` whenever it has got further, which starts the time anew.
 */
export async function withPatience<T>(
  retryMs: number,
  signal: AbortSignal,
  attempt: (progressed: () => void) => Promise<T>,
): Promise<T> {
  let lastProgress = Date.now();
  const progressed = (): void => {
    lastProgress = Date.now();
  };
  for (;;) {
    try {
      return await attempt(progressed);
    } catch (thrown) {
      if (!isKindredError(thrown, 'UNAVAILABLE')) throw thrown;
      // A service that ends says when to ask again.
      const waitMs = thrown.retryAfterMs ?? pauseMs;
      if (Date.now() + waitMs - lastProgress > retryMs) throw thrown;
      await delay(waitMs, undefined, { signal });
    }
  }
}
