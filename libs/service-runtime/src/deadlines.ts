// Deadlines of calls: a call's own, and that of the call under which it is made, whichever is sooner.
import { ClientError, Metadata, Status, type ClientMiddleware } from 'nice-grpc-common';
import { currentCall } from './call-scope.js';

/** What a call may say of its deadline. */
export interface CallDeadline {
  /** Longest wait for the call's end, in milliseconds; fails as DEADLINE_EXCEEDED then. @default none of its own */
  readonly deadlineMs?: number;
}

/** gRPC allows eight digits in its header; so long a deadline is none. */
const longestDeadlineMs = 99_999_999;

/** Ends calls at their deadline and tells the server of it, which then stops to work for nobody. */
export const withinDeadline: ClientMiddleware<CallDeadline> = async function* withinDeadline(call, callOptions) {
  const { deadlineMs = Infinity, signal, ...options } = callOptions;
  const leftMs = Math.min(deadlineMs, (currentCall()?.deadlineMs ?? Infinity) - Date.now());
  if (!(leftMs <= longestDeadlineMs)) return yield* call.next(call.request, { ...options, signal });
  const exceeded = (): ClientError =>
    new ClientError(call.method.path, Status.DEADLINE_EXCEEDED, 'the deadline passed before the answer came');
  if (leftMs <= 0) throw exceeded();

  const metadata = Metadata(options.metadata);
  metadata.set('grpc-timeout', `${Math.ceil(leftMs)}m`);
  const passed = new AbortController();
  const cancel = (): void => passed.abort();
  if (signal?.aborted === true) cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    cancel();
  }, leftMs);
  try {
    return yield* call.next(call.request, { ...options, metadata, signal: passed.signal });
  } catch (thrown) {
    throw timedOut ? exceeded() : thrown;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', cancel);
  }
};
