// The one error class of the house: a closed code, a sentence for people, fields for programs.
import type { ErrorCode } from './codes.js';

/** What is wrong with one field of a request, configuration or file. */
export interface FieldViolation {
  /** Path of the field, e.g. `optimizer_kwargs.lr`. */
  readonly field: string;
  /** What was got and what is allowed, e.g. `got -1; allowed: a number above 0`. */
  readonly description: string;
}

/** The thing that an error is about. */
export interface ResourceReference {
  /** Kind of thing: `dataset`, `run`, `model`, `index`, `artifact`, `file`, `service`. */
  readonly type: string;
  /** Its name, id or path. */
  readonly name: string;
}

/** Machine-readable parts of a {@link KindredError}; they travel as `google.rpc` details. */
export interface ErrorFields {
  /** Violations by field (`google.rpc.BadRequest`). */
  readonly violations?: readonly FieldViolation[];
  /** The thing concerned (`google.rpc.ResourceInfo`). */
  readonly resource?: ResourceReference;
  /** When a repeat makes sense, in milliseconds (`google.rpc.RetryInfo`). */
  readonly retryAfterMs?: number;
  /** The error below this one. */
  readonly cause?: unknown;
}

/** An error that a caller can act on. Its message says what was got, what is allowed and what to do. */
export class KindredError extends Error {
  override readonly name = 'KindredError';
  readonly code: ErrorCode;
  readonly violations: readonly FieldViolation[];
  readonly resource: ResourceReference | null;
  readonly retryAfterMs: number | null;

  constructor(code: ErrorCode, message: string, fields: ErrorFields = {}) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.code = code;
    this.violations = fields.violations ?? [];
    this.resource = fields.resource ?? null;
    this.retryAfterMs = fields.retryAfterMs ?? null;
  }
}

/** An INVALID_ARGUMENT about one field; `description` says what was got and what is allowed. */
export function invalidField(field: string, description: string): KindredError {
  return new KindredError('INVALID_ARGUMENT', `${field}: ${description}`, { violations: [{ field, description }] });
}

/** A NOT_FOUND about one thing; `known` lists what exists, where that list is short enough to help. */
export function notFound(type: string, name: string, known?: readonly string[]): KindredError {
  const hint = known === undefined ? '' : known.length === 0 ? ' (there is none yet)' : `; known: ${known.join(', ')}`;
  return new KindredError('NOT_FOUND', `${type} '${name}' does not exist${hint}`, { resource: { type, name } });
}

/** Whether `error` is a {@link KindredError}, optionally with one given code; true across realms and worker threads. */
export function isKindredError(error: unknown, code?: ErrorCode): error is KindredError {
  if (!(error instanceof Error) || error.name !== 'KindredError' || !('code' in error)) return false;
  return code === undefined || error.code === code;
}

/** Plain data form of an error, for crossing a thread or process boundary. */
export interface SerializedError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly violations: readonly FieldViolation[];
  readonly resource: ResourceReference | null;
  readonly retryAfterMs: number | null;
  readonly stack: string | null;
}

/** Turns any thrown value into plain data; what is not a {@link KindredError} becomes `INTERNAL`, or RESOURCE_EXHAUSTED for a full disk. */
export function serializeError(thrown: unknown): SerializedError {
  const error = toKindredError(thrown);
  const { code, message, violations, resource, retryAfterMs, stack } = error;
  return { code, message, violations, resource, retryAfterMs, stack: stack ?? null };
}

/** The inverse of {@link serializeError}. */
export function deserializeError(data: SerializedError): KindredError {
  const error = new KindredError(data.code, data.message, {
    violations: data.violations,
    resource: data.resource ?? undefined,
    retryAfterMs: data.retryAfterMs ?? undefined,
  });
  if (data.stack !== null) error.stack = data.stack;
  return error;
}

/** Gives any thrown value a code. A full disk (`ENOSPC`, `EDQUOT`) is RESOURCE_EXHAUSTED; the unknown is INTERNAL. */
export function toKindredError(thrown: unknown): KindredError {
  if (thrown instanceof KindredError) return thrown;
  if (isKindredError(thrown))
    return deserializeError({ ...thrown, message: thrown.message, stack: thrown.stack ?? null });
  if (!(thrown instanceof Error)) return new KindredError('INTERNAL', String(thrown));
  const systemCode = (thrown as NodeJS.ErrnoException).code;
  if (systemCode === 'ENOSPC' || systemCode === 'EDQUOT') {
    const { path } = thrown as NodeJS.ErrnoException;
    const message = `no space left on the device of ${path ?? 'the data folder'}; free some and try again`;
    const resource = path === undefined ? undefined : { type: 'file', name: path };
    return new KindredError('RESOURCE_EXHAUSTED', message, { resource, cause: thrown });
  }
  if (thrown.name === 'AbortError') return new KindredError('CANCELLED', 'cancelled by the caller', { cause: thrown });
  return new KindredError('INTERNAL', thrown.message, { cause: thrown });
}
