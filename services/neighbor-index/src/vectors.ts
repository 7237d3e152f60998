// Checks of vectors from outside.
import { invalidField } from '@kindred/errors';

/** Queries a call. */
const maxQueries = 4096;

/**
 * Largest L2 norm of a vector or query: any two have an inner product of at most 1e36, and so has every partial sum of it
 * (Cauchy-Schwarz), which leaves faiss's float32 sums finite; float32 ends at 3.4e38.
 */
export const maxNorm = 1e18;

/** INVALID_ARGUMENT, naming the row, when a number is NaN or infinite or a row's L2 norm is above {@link maxNorm}. */
export function checkVectors(field: string, values: Float32Array, dimension: number): void {
  for (let start = 0; start < values.length; start += dimension) {
    const end = Math.min(start + dimension, values.length);
    let squares = 0;
    for (let i = start; i < end; i++) squares += values[i]! * values[i]!;
    if (squares <= maxNorm * maxNorm) continue;
    const row = start / dimension;
    const at = values.subarray(start, end).findIndex((value) => !Number.isFinite(value));
    if (at !== -1) {
      throw invalidField(field, `got ${values[start + at]} in row ${row}, number ${at}; allowed: finite numbers`);
    }
    const norm = Math.sqrt(squares).toPrecision(3);
    throw invalidField(field, `got a vector of L2 norm ${norm} in row ${row}; allowed: at most ${maxNorm}`);
  }
}

/** INVALID_ARGUMENT unless `queries` is [1 to 4096, dimension], each as {@link checkVectors} wants it. */
export function checkQueries(field: string, queries: Float32Array, dimension: number): void {
  const count = queries.length / dimension;
  if (!Number.isInteger(count) || count === 0) {
    throw invalidField(field, `got ${queries.length} numbers; allowed: ${dimension} a query, 1 query at least`);
  }
  if (count > maxQueries) throw invalidField(field, `got ${count} queries; allowed: ${maxQueries}`);
  checkVectors(field, queries, dimension);
}

/** INVALID_ARGUMENT unless `k` is 1 to `max`. */
export function checkK(k: number, max: number): void {
  if (k < 1 || k > max) throw invalidField('k', `got ${k}; allowed: 1 to ${max}`);
}
