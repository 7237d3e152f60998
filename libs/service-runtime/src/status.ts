// Errors ↔ gRPC status, the only place where the two meet: one exhaustive table, `google.rpc` details both ways.
import { KindredError, toKindredError, type ErrorCode, type ErrorFields, type FieldViolation } from '@kindred/errors';
import { ClientError, ServerError, Status } from 'nice-grpc-common';
import { BadRequest, ResourceInfo, RetryInfo, RichClientError, RichServerError } from 'nice-grpc-error-details';

const statusByCode: Record<ErrorCode, Status> = {
  INVALID_ARGUMENT: Status.INVALID_ARGUMENT,
  NOT_FOUND: Status.NOT_FOUND,
  ALREADY_EXISTS: Status.ALREADY_EXISTS,
  UNAUTHENTICATED: Status.UNAUTHENTICATED,
  PERMISSION_DENIED: Status.PERMISSION_DENIED,
  FAILED_PRECONDITION: Status.FAILED_PRECONDITION,
  RESOURCE_EXHAUSTED: Status.RESOURCE_EXHAUSTED,
  UNAVAILABLE: Status.UNAVAILABLE,
  DEADLINE_EXCEEDED: Status.DEADLINE_EXCEEDED,
  CANCELLED: Status.CANCELLED,
  ABORTED: Status.ABORTED,
  UNIMPLEMENTED: Status.UNIMPLEMENTED,
  DATA_LOSS: Status.DATA_LOSS,
  INTERNAL: Status.INTERNAL,
};

/**
 * Clients over gRPC's C core (Python, C++, Ruby…) take trailers of 8 KiB together and end the call otherwise. Details travel in base64,
 * beside the text, which is in them once more.
 */
const maxViolationBytes = 3072;
const maxTextLength = 1024;
const maxDescriptionLength = 512;
/** Tags and lengths of a violation and its two fields. */
const violationOverhead = 8;

const codeByStatus = new Map(Object.entries(statusByCode).map(([code, status]) => [status, code as ErrorCode]));

/**
 * The gRPC error for a thrown value. The text of a fault of ours, which may name files, stays in the log: the caller gets
 * `internal error`.
 */
export function statusFromError(thrown: unknown): ServerError {
  if (thrown instanceof ServerError) return thrown;
  const error = toKindredError(thrown);
  // Nobody reads these errors' stacks; with source maps one costs more than the rest of a refused call.
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return error.code === 'INTERNAL' ? new ServerError(Status.INTERNAL, 'internal error') : richError(error);
  } finally {
    Error.stackTraceLimit = limit;
  }
}

/** When to come back, in milliseconds from now, as callers read it. */
export function retryInfo(retryAfterMs: number): RetryInfo {
  const seconds = Math.floor(retryAfterMs / 1000);
  const nanos = Math.round((retryAfterMs - seconds * 1000) * 1e6);
  return RetryInfo.fromPartial({ retryDelay: { seconds, nanos } });
}

function richError(error: KindredError): ServerError {
  const details = [];
  const { fit, left } = fitting(error.violations);
  if (fit.length > 0) details.push(BadRequest.fromPartial({ fieldViolations: fit }));
  if (error.resource !== null) {
    details.push(ResourceInfo.fromPartial({ resourceType: error.resource.type, resourceName: error.resource.name }));
  }
  if (error.retryAfterMs !== null) {
    details.push(retryInfo(error.retryAfterMs));
  }
  const text = shortened(error.message, maxTextLength);
  const more = left === 0 ? '' : ` (and ${left} more, which the details have no room for)`;
  return new RichServerError(statusByCode[error.code], `${text}${more}`, details);
}

/** As many violations as their share of the trailer holds, the first ones; and how many were left out. */
function fitting(violations: readonly FieldViolation[]): { readonly fit: FieldViolation[]; readonly left: number } {
  const fit: FieldViolation[] = [];
  let bytes = 0;
  for (const { field, description } of violations) {
    const violation = { field, description: shortened(description, maxDescriptionLength) };
    bytes += Buffer.byteLength(violation.field) + Buffer.byteLength(violation.description) + violationOverhead;
    if (bytes > maxViolationBytes) break;
    fit.push(violation);
  }
  return { fit, left: violations.length - fit.length };
}

function shortened(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

/** The inverse: what a client makes of a failed call to `service`. Connection failures name the service and address. */
export function errorFromStatus(thrown: unknown, service: string, address: string): unknown {
  if (!(thrown instanceof ClientError)) return thrown;
  const code = codeByStatus.get(thrown.code) ?? 'INTERNAL';
  const unavailable = code === 'UNAVAILABLE';
  const text = unavailable ? `service ${service} at ${address} does not answer: ${thrown.details}` : thrown.details;
  let fields: ErrorFields = unavailable
    ? { cause: thrown, resource: { type: 'service', name: service } }
    : { cause: thrown };
  if (!(thrown instanceof RichClientError)) return new KindredError(code, text, fields);
  for (const detail of thrown.extra) {
    if (detail.$type === BadRequest.$type) fields = { ...fields, violations: detail.fieldViolations };
    if (detail.$type === ResourceInfo.$type) {
      fields = { ...fields, resource: { type: detail.resourceType, name: detail.resourceName } };
    }
    if (detail.$type === RetryInfo.$type && detail.retryDelay !== undefined) {
      fields = { ...fields, retryAfterMs: Number(detail.retryDelay.seconds) * 1000 + detail.retryDelay.nanos / 1e6 };
    }
  }
  return new KindredError(code, text, fields);
}
