// What the API server or the way to it answers, as errors of ours.
import { KindredError, isKindredError, type ErrorCode } from '@kindred/errors';
import { ApiException } from '@kubernetes/client-node';

const codes: Readonly<Record<number, ErrorCode>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'ALREADY_EXISTS',
  422: 'INVALID_ARGUMENT',
};

/**
 * An error of the client as one of ours; `what` says what was tried. RESOURCE_EXHAUSTED: a quota of the namespace is used
 * up; UNAVAILABLE: no answer, or one that says "later".
 */
export function apiError(thrown: unknown, what: string): KindredError {
  if (isKindredError(thrown)) return thrown;
  const status = statusOf(thrown);
  const said = wordsOf(thrown);
  if (status === null)
    return new KindredError('UNAVAILABLE', `${what}: the Kubernetes API does not answer: ${said}`, { cause: thrown });
  if (status === 403 && said.includes('exceeded quota'))
    return new KindredError('RESOURCE_EXHAUSTED', `${what}: ${said}`, { cause: thrown });
  if (status === 403) {
    const advice = "give the trainer's service account the Role of deploy/kubernetes";
    return new KindredError('PERMISSION_DENIED', `${what}: the Kubernetes API refuses it: ${said}; ${advice}`, {
      cause: thrown,
    });
  }
  return new KindredError(codes[status] ?? 'UNAVAILABLE', `${what}: the Kubernetes API says ${status}: ${said}`, {
    cause: thrown,
  });
}

/** The status of the reply; null: there was none. */
export function statusOf(thrown: unknown): number | null {
  if (thrown instanceof ApiException) return thrown.code;
  const { statusCode } = (thrown ?? {}) as { statusCode?: unknown };
  return typeof statusCode === 'number' ? statusCode : null;
}

function wordsOf(thrown: unknown): string {
  const body: unknown = thrown instanceof ApiException ? thrown.body : null;
  if (typeof body === 'string') {
    try {
      return String((JSON.parse(body) as { message?: unknown }).message ?? body);
    } catch {
      return body.slice(0, 500);
    }
  }
  const { message } = (body ?? {}) as { message?: unknown };
  if (typeof message === 'string') return message;
  return thrown instanceof Error ? thrown.message : String(thrown);
}
