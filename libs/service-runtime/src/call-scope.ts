// What is known of the call that the running code serves: its id, its caller, its deadline. Follows the code through awaits.
import { AsyncLocalStorage } from 'node:async_hooks';
import { isSpanContextValid, trace } from '@opentelemetry/api';

/** One call to this process, as the code that serves it sees it. */
export interface CallScope {
  /** From the caller's `x-request-id`, or drawn here. Calls to other services carry it on. */
  readonly requestId: string;
  /** Full path, e.g. `/kindred.embedding.v1.EmbeddingService/Embed`. */
  readonly rpc: string;
  /** When the caller gives up, in milliseconds since 1970; Infinity: never. */
  readonly deadlineMs: number;
  /** Name of the caller's token; null where none was asked for. */
  readonly caller: string | null;
}

const scopes = new AsyncLocalStorage<CallScope | undefined>();

/** The call that the running code serves; undefined outside of calls. */
export function currentCall(): CallScope | undefined {
  return scopes.getStore();
}

/** Runs work that outlives the call that starts it: it keeps the request's id and trace, and has no deadline. */
export function outlivingCall<T>(work: () => T): T {
  const scope = scopes.getStore();
  return scopes.run(scope === undefined ? undefined : { ...scope, deadlineMs: Infinity }, work);
}

/** Runs each step of `generator` in `scope`. */
export async function* inScope<T, R>(
  scope: CallScope,
  generator: AsyncGenerator<T, R, undefined>,
): AsyncGenerator<T, R, undefined> {
  try {
    for (;;) {
      const step = await scopes.run(scope, () => generator.next());
      if (step.done === true) return step.value;
      yield step.value;
    }
  } finally {
    // A caller that stops to read ends what the handler holds. After its own end this has no effect.
    await scopes.run(scope, () => generator.return(undefined as R));
  }
}

/** The ids that each line of the log carries: of the call and of its trace, where there are any. */
export function logFields(): { requestId?: string; traceId?: string } {
  const requestId = scopes.getStore()?.requestId;
  const span = trace.getActiveSpan()?.spanContext();
  return {
    ...(requestId === undefined ? {} : { requestId }),
    ...(span === undefined || !isSpanContextValid(span) ? {} : { traceId: span.traceId }),
  };
}
