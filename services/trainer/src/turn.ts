// Whose turn it is to work on the runs: of several trainers of a namespace the one that holds its Lease. There are several for a
// while when a pod is evicted or deleted, since its successor is made before it has ended.
import { KindredError } from '@kindred/errors';
import { createLeaseCalls, holdLease } from '@kindred/kubernetes-jobs';
import type { Logger } from '@kindred/service-runtime';
import type { KubernetesConfig } from './config.js';

/** The Lease of a namespace's trainers. */
export const leaseName = 'trainer';

/** The turn of one trainer. */
export interface Turn {
  /** Resolves when it begins; stays pending for ever where it never does. */
  readonly begun: Promise<void>;
  /** Whether it is certain that no other trainer works on the runs now. */
  readonly isOurs: boolean;
  /** @throws KindredError UNAVAILABLE, saying who works and what to do, unless it is ours */
  check(): void;
  /** Gives it to the next. */
  close(): Promise<void>;
}

/** Of a trainer that is alone with its runs. */
export const onlyTurn: Turn = {
  begun: Promise.resolve(),
  isOurs: true,
  check: () => {},
  close: () => Promise.resolve(),
};

/** Waits for the turn in a namespace. `onLost`: another has begun, so that this process must end at once. */
export function takeTurn(
  { namespace, identity, leaseMs }: KubernetesConfig,
  logger: Logger,
  onLost: () => never,
): Turn {
  let trouble = '';
  const lease = holdLease({
    calls: createLeaseCalls({ namespace }),
    name: leaseName,
    identity,
    durationMs: leaseMs,
    onLost() {
      logger.fatal({ holder: lease.holder, identity }, 'another trainer has taken the Lease; this one ends');
      onLost();
    },
    onTrouble(error) {
      const said = error?.message ?? '';
      if (said !== '' && said !== trouble) logger.warn({ code: error?.code }, said);
      trouble = said;
    },
  });
  void lease.acquired.then(() => logger.info({ lease: `${namespace}/${leaseName}`, identity }, 'works on the runs'));
  return {
    begun: lease.acquired,
    get isOurs() {
      return lease.isHeld;
    },
    check() {
      if (lease.isHeld) return;
      throw new KindredError('UNAVAILABLE', reason(namespace, identity, lease.holder, trouble), {
        retryAfterMs: 5_000,
      });
    },
    close: () => lease.close(),
  };
}

function reason(namespace: string, identity: string, holder: string, trouble: string): string {
  const lease = `Lease '${leaseName}' of namespace ${namespace}`;
  if (trouble !== '')
    return `this trainer cannot tell whether it may work on the runs: ${trouble}; call again once the Kubernetes API answers`;
  if (holder === '' || holder === identity) return `this trainer is about to take ${lease}; call again`;
  return `trainer '${holder}' works on the runs (${lease}), this one waits for its end; call that one, or call again later`;
}
