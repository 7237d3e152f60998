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

/** How long before its deadline is over here a caller that goes by it may leave. */
const earliestLeaveMs = 50;

const scopes = new AsyncLocalStorage<CallScope | undefined>();

/** The call that the running code serves; undefined outside of calls. */
export function currentCall(): CallScope | undefined {
  return scopes.getStore();
}

/**
 * Whether the running code's call, if its caller has left, was left because its deadline has passed: gRPC tells a server of both in the
 * same way. A caller's own clock starts before the call is here, so that it may leave a little before the deadline is over here.
 */
export function isPastDeadline(): boolean {
  return Date.now() >= (scopes.getStore()?.deadlineMs ?? Infinity) - earliestLeaveMs;
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
