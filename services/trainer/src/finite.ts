// Overflow: finding it in arrays, and the error that it becomes.
import { KindredError } from '@kindred/errors';

/** Whether no value is NaN or infinite. */
export function allFinite(values: Float32Array): boolean {
  // A checkpoint of the paper's network has 22 million values: a loop, not a callback for each.
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}

/** The FAILED_PRECONDITION of a run whose numbers have overflowed; `what` says which and in which step. */
export function notFinite(what: string): KindredError {
  return new KindredError('FAILED_PRECONDITION', `${what}; a smaller learning rate may help`);
}
