// Health by name: of the process, of its gRPC services, and of what a service holds (a model, a collection).
import type { ServiceImplementation } from 'nice-grpc';
import { ServerError, Status } from 'nice-grpc-common';
import type { HealthDefinition } from 'nice-grpc-server-health';

/** Handlers of `grpc.health.v1`. */
type HealthHandlers = ServiceImplementation<typeof HealthDefinition>;

/** `grpc.health.v1.HealthCheckResponse.ServingStatus`. */
const states = { serving: 1, notServing: 2, serviceUnknown: 3 } as const;
type State = (typeof states)[keyof typeof states];

/** The names that `grpc.health.v1` knows in this process, and how they are. */
export interface HealthBoard {
  /**
   * Sets a name that is the service's own, e.g. `models/cats`, to SERVING or NOT_SERVING. Watchers are told. While the process
   * starts or ends, every name is NOT_SERVING whatever is set.
   */
  set(name: string, serving: boolean): void;
  /** Forgets a name: asked for, it is NOT_FOUND again; its watchers see SERVICE_UNKNOWN. */
  remove(name: string): void;
}

/** A board with the side that the server turns. */
export interface ServerHealth extends HealthBoard {
  /** Whether the process takes calls; each name that was set is SERVING only while it does. */
  setProcess(serving: boolean): void;
  /** Handlers of `grpc.health.v1`; watches end with UNAVAILABLE when `draining` is aborted. */
  handlers(draining: AbortSignal): HealthHandlers;
}

/** Makes a board; a service hands it to `startService`, and as {@link HealthBoard} to what comes and goes. */
export function createHealthBoard(): ServerHealth {
  const names = new Map<string, boolean>([['', true]]);
  const watchers = new Set<() => void>();
  let up = false;
  const tell = (): void => {
    for (const wake of watchers) wake();
  };
  const stateOf = (name: string): State => {
    const own = names.get(name);
    return own === undefined ? states.serviceUnknown : own && up ? states.serving : states.notServing;
  };
  return {
    set(name, serving) {
      names.set(name, serving);
      tell();
    },
    remove(name) {
      names.delete(name);
      tell();
    },
    setProcess(serving) {
      up = serving;
      tell();
    },
    handlers: (draining) => ({
      check({ service }) {
        const status = stateOf(service);
        if (status !== states.serviceUnknown) return Promise.resolve({ status });
        throw new ServerError(Status.NOT_FOUND, `nothing here is named '${service}'`);
      },
      watch: ({ service }, { signal }) => watchState(() => stateOf(service), watchers, signal, draining),
    }),
  };
}

/**
 * Yields the state now and after each change. (nice-grpc-server-health's own watch misses a change that comes while its reader
 * takes the one before, and holds up the drain.)
 */
async function* watchState(
  read: () => State,
  watchers: Set<() => void>,
  cancelled: AbortSignal,
  draining: AbortSignal,
): AsyncGenerator<{ status: State }> {
  let wake = (): void => {};
  const onChange = (): void => wake();
  const signals = [cancelled, draining];
  watchers.add(onChange);
  for (const signal of signals) signal.addEventListener('abort', onChange);
  try {
    for (let last: State | null = null; !cancelled.aborted;) {
      const status = read();
      if (status !== last) {
        yield { status };
        last = status;
        continue;
      }
      if (draining.aborted) throw new ServerError(Status.UNAVAILABLE, 'the service is ending');
      await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    watchers.delete(onChange);
    for (const signal of signals) signal.removeEventListener('abort', onChange);
  }
}
