// Checks of vectors from outside.
import { invalidField } from '@kindred/errors';
import type { Metric } from './engine/spec.js';
import { contractLimits } from './limits.js';

/**
 * Checks rows of vectors, [n, dimension], and returns them as collections of that metric hold them: normalised, in a copy,
 * where it is cosine. INVALID_ARGUMENT, naming the row, when a number is NaN or infinite, a row's L2 norm is above 1e18 (any two
 * rows then have an inner product of at most 1e36, and so has every partial sum of it by Cauchy-Schwarz; float32 ends at 3.4e38)
 * or, with cosine, is 0.
 */
export function checkedVectors(field: string, values: Float32Array, dimension: number, metric: Metric): Float32Array {
  const kept = metric === 'cosine' ? values.slice() : values;
  for (let start = 0; start < values.length; start += dimension) {
    let squares = 0;
    for (let i = start; i < start + dimension; i++) squares += values[i]! * values[i]!;
    if (!(squares <= contractLimits.norm * contractLimits.norm))
      throw outOfRange(field, values, start, dimension, squares);
    if (metric !== 'cosine') continue;
    if (squares === 0) {
      throw invalidField(
        field,
        `got a vector of zeros in row ${start / dimension}; allowed with the metric cosine: a length above 0`,
      );
    }
    const scale = 1 / Math.sqrt(squares);
    for (let i = start; i < start + dimension; i++) kept[i]! *= scale;
  }
  return kept;
}

/** Checks queries: 1 to 4096 of them, each as {@link checkedVectors} wants it. */
export function checkedQueries(field: string, queries: Float32Array, dimension: number, metric: Metric): Float32Array {
  const count = queries.length / dimension;
  if (!Number.isInteger(count) || count === 0) {
    throw invalidField(field, `got ${queries.length} numbers; allowed: ${dimension} a query, 1 query at least`);
  }
  if (count > contractLimits.queries)
    throw invalidField(field, `got ${count} queries; allowed: ${contractLimits.queries}`);
  return checkedVectors(field, queries, dimension, metric);
}

/** INVALID_ARGUMENT unless `k` is 1 to `max`. */
export function checkK(k: number, max: number): void {
  if (k < 1 || k > max) throw invalidField('k', `got ${k}; allowed: 1 to ${max}`);
}

function outOfRange(field: string, values: Float32Array, start: number, dimension: number, squares: number): Error {
  const row = start / dimension;
  const at = values.subarray(start, start + dimension).findIndex((value) => !Number.isFinite(value));
  if (at !== -1) {
    return invalidField(field, `got ${values[start + at]} in row ${row}, number ${at}; allowed: finite numbers`);
  }
  const norm = Math.sqrt(squares).toPrecision(3);
  return invalidField(field, `got a vector of L2 norm ${norm} in row ${row}; allowed: at most ${contractLimits.norm}`);
}
