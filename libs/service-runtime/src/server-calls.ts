// What happens around each call that a server serves: its scope, its errors, its line in the access log.
import { randomUUID } from 'node:crypto';
import { trace } from '@opentelemetry/api';
import {
  ServerError,
  Status,
  type CallContext,
  type ServerMiddleware,
  type ServerMiddlewareCall,
} from 'nice-grpc-common';
import { admissionOf } from './call-gate.js';
import { inScope, type CallScope } from './call-scope.js';
import type { Logger } from './logger.js';
import { statusFromError } from './status.js';

/** Metadata that carries a request's id from service to service. */
export const requestIdKey = 'x-request-id';

/** Gives each call its {@link CallScope} and sends the request's id back with the answer. */
export function scopedCalls(): ServerMiddleware {
  return <Q, R>(call: ServerMiddlewareCall<Q, R>, context: CallContext) => {
    const scope = scopeOf(call.method.path, context);
    context.header.set(requestIdKey, scope.requestId);
    trace.getActiveSpan()?.setAttributes({
      'kindred.request_id': scope.requestId,
      ...(scope.caller === null ? {} : { 'kindred.caller': scope.caller }),
    });
    return inScope(scope, call.next(call.request, context) as AsyncGenerator<R, R | void, undefined>);
  };
}

/** Turns what handlers throw into gRPC statuses, and logs the faults of ours. */
export function reportedErrors(logger: Logger): ServerMiddleware {
  return async function* reportErrors(call, context) {
    try {
      return yield* call.next(call.request, context);
    } catch (thrown) {
      const error = statusFromError(thrown);
      // What fails after the caller has left failed, most likely, because it left.
      const level = context.signal.aborted ? 'debug' : 'error';
      if (error.code === Status.INTERNAL) logger[level]({ rpc: call.method.path, err: thrown }, 'call failed');
      throw error;
    }
  };
}

/** One line a call when it has ended: what, by whom, how long, how it ended; never what it said. */
export function loggedCalls(logger: Logger): ServerMiddleware {
  return async function* logCall(call, context) {
    const began = performance.now();
    let code: keyof typeof Status = 'OK';
    let ended = false;
    try {
      const result = yield* call.next(call.request, context);
      ended = true;
      return result;
    } catch (thrown) {
      ended = true;
      code = statusName(thrown);
      throw thrown;
    } finally {
      if (!ended || context.signal.aborted) code = code === 'OK' ? 'CANCELLED' : code;
      const { caller } = admissionOf((key) => context.metadata.get(key));
      const ms = Math.round((performance.now() - began) * 10) / 10;
      logger.info({ rpc: call.method.path, code, ms, caller, peer: context.peer }, 'call');
    }
  };
}

function scopeOf(rpc: string, { metadata }: CallContext): CallScope {
  const { deadlineMs, caller } = admissionOf((key) => metadata.get(key));
  const sent = String(metadata.get(requestIdKey) ?? '');
  // Anything else would let a caller write what it likes into the log.
  const requestId = /^[\w.:-]{1,128}$/.test(sent) ? sent : randomUUID();
  return { requestId, rpc, deadlineMs: deadlineMs ?? Infinity, caller };
}

function statusName(thrown: unknown): keyof typeof Status {
  const status = thrown instanceof ServerError ? thrown.code : Status.CANCELLED;
  return Status[status] as keyof typeof Status;
}
