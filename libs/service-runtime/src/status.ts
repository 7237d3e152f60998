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
 * beside the text, which is in them once more, and which itself travels percent-encoded: nine bytes for a Chinese character.
 */
const maxViolationBytes = 3072;
const maxTextLength = 1024;
const maxEncodedTextBytes = 1536;
const maxDescriptionLength = 512;
const maxResourceNameBytes = 256;
/** Tags and lengths of a violation and its two fields. */
const violationOverhead = 8;

const codeByStatus = new Map(Object.entries(statusByCode).map(([code, status]) => [status, code as ErrorCode]));

/**
 * The gRPC error for a thrown value. The text of a fault of ours, which may name files, stays in the log: the caller gets
 * `internal error`.
 */
export function statusFromError(thrown: unknown): ServerError {
  if (thrown instanceof ServerError) return carried(thrown);
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
    const { type, name } = error.resource;
    details.push(ResourceInfo.fromPartial({ resourceType: type, resourceName: shortened(name, maxResourceNameBytes) }));
  }
  if (error.retryAfterMs !== null) {
    details.push(retryInfo(error.retryAfterMs));
  }
  const text = shortenedText(error.message);
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

/** A status that a handler made itself, in a form that can be sent. */
function carried(error: ServerError): ServerError {
  const text = shortenedText(error.details);
  // Details are its maker's own; a text that callers can make longer has none.
  return text === error.details || error instanceof RichServerError ? error : new ServerError(error.code, text);
}

/** A status's text: at most {@link maxTextLength} characters, and {@link maxEncodedTextBytes} as they travel. */
function shortenedText(text: string): string {
  return shortened(text, maxTextLength, maxEncodedTextBytes, (point) => encodeURI(point).length);
}

/**
 * The beginning of `text` that has at most `length` characters and, with the ellipsis, `maxBytes` as `bytesOf` reckons a code point (in
 * UTF-8 unless told). Never half of a surrogate pair, which no status can carry: grpc-js would throw where nobody catches.
 */
function shortened(
  text: string,
  length: number,
  maxBytes = length,
  bytesOf: (point: string) => number = (point) => Buffer.byteLength(point),
): string {
  // Nine bytes a character at most, however they are reckoned: nearly all texts are done here.
  if (text.length <= length && text.length * 9 <= maxBytes) return wellFormed(text);
  const ellipsis = '…';
  let [at, fits, bytes] = [0, 0, 0];
  for (const point of wellFormed(text.slice(0, length + 1))) {
    bytes += bytesOf(point);
    at += point.length;
    if (at > length || bytes > maxBytes) return wellFormed(text.slice(0, fits)) + ellipsis;
    if (at < length && bytes + bytesOf(ellipsis) <= maxBytes) fits = at;
  }
  return wellFormed(text);
}

/** Halves of surrogate pairs, as JSON can spell them, become U+FFFD. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\uFFFD');
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
