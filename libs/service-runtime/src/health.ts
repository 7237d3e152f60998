// Health by name: of the process, of its gRPC services, and of what a service holds (a model, a collection).
import { HealthServiceImpl, HealthState } from 'nice-grpc-server-health';
import { ServerError, Status } from 'nice-grpc-common';

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
  handlers(draining: AbortSignal): ReturnType<typeof HealthServiceImpl>;
}

/** Makes a board; a service hands it to `startService`, and as {@link HealthBoard} to what comes and goes. */
export function createHealthBoard(): ServerHealth {
  const state = HealthState();
  // One listener a watcher, of which there may be many.
  state.setMaxListeners(0);
  const names = new Map<string, boolean>([['', true]]);
  let up = false;
  const tell = (name: string): void => state.setStatus(up && names.get(name) === true ? 'healthy' : 'unhealthy', name);
  return {
    set(name, serving) {
      names.set(name, serving);
      tell(name);
    },
    remove(name) {
      names.delete(name);
      state.setStatus('unknown', name);
    },
    setProcess(serving) {
      up = serving;
      for (const name of names.keys()) tell(name);
    },
    handlers: (draining) => endableWatch(HealthServiceImpl(state), draining),
  };
}

/** Health's Watch never ends by itself, which would hold up the drain. */
function endableWatch(
  implementation: ReturnType<typeof HealthServiceImpl>,
  draining: AbortSignal,
): ReturnType<typeof HealthServiceImpl> {
  return {
    check: (request, context) => implementation.check(request, context),
    async *watch(request, context) {
      const signal = AbortSignal.any([context.signal, draining]);
      try {
        yield* implementation.watch(request, { ...context, signal });
      } catch (thrown) {
        if (draining.aborted) throw new ServerError(Status.UNAVAILABLE, 'the service is ending');
        throw thrown;
      }
    },
  };
}
