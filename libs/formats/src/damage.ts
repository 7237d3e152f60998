// Errors about files whose bytes do not hold together.
import { KindredError } from '@kindred/errors';

/** A DATA_LOSS error about one file: what was found there and what the format allows. */
export function damaged(format: string, name: string, problem: string, cause?: unknown): KindredError {
  return new KindredError('DATA_LOSS', `${name}: not a sound ${format} file: ${problem}`, {
    resource: { type: 'file', name },
    cause,
  });
}

/** An INVALID_ARGUMENT error about a sound file that uses what is not supported here. */
export function unsupported(format: string, name: string, problem: string): KindredError {
  return new KindredError('INVALID_ARGUMENT', `${name}: ${format}: ${problem}`, { resource: { type: 'file', name } });
}
