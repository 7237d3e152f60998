// The order in which an epoch visits the images of a dataset.
import { invalidField } from '@kindred/errors';
import { createStream, streamPurposes } from './random-stream.js';

/**
 * A permutation of 0..n-1 that depends on nothing but `n`, `seed` and `epoch`: neither workers, batch size nor restarts
 * change it. `n` in [0, 2^32).
 * @throws KindredError INVALID_ARGUMENT when a value is out of its range
 */
export function shuffledIndices(n: number, seed: bigint | number, epoch: number): Uint32Array {
  if (!Number.isInteger(n) || n < 0 || n >= 2 ** 32) {
    throw invalidField('n', `got ${n}; allowed: an integer from 0 to ${2 ** 32 - 1}`);
  }
  const stream = createStream({ seed, epoch, imageIndex: 0, view: 0 }, streamPurposes.shuffle);
  return stream.permutation(new Uint32Array(n));
}
