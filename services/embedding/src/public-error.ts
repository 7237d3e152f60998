// What callers may read of errors that are told in answers, not thrown: no fault of ours, no file or folder of the server.
import { KindredError, toKindredError } from '@kindred/errors';

/** `thrown` as callers may see it; the log has the whole of it. */
export function publicError(thrown: unknown): KindredError {
  const error = toKindredError(thrown);
  if (error.code === 'INTERNAL')
    return new KindredError('INTERNAL', 'internal error; the log of the service says more');
  if (error.resource?.type !== 'file' && error.resource?.type !== 'folder') return error;
  const text =
    error.code === 'RESOURCE_EXHAUSTED'
      ? 'no space left where the service keeps its artifacts; free some there, or raise its quota, and try again'
      : 'the service cannot use a file of its own; its log says which';
  return new KindredError(error.code, text, { retryAfterMs: error.retryAfterMs ?? undefined });
}
