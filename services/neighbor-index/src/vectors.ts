// Checks of vectors from outside.
import { invalidField } from '@kindred/errors';

/** Queries a call. */
const maxQueries = 4096;

/** INVALID_ARGUMENT, naming the row, when a number is NaN or infinite. */
export function checkFinite(field: string, values: Float32Array, dimension: number): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at === -1) return;
  const place = `row ${Math.floor(at / dimension)}, number ${at % dimension}`;
  throw invalidField(field, `got ${values[at]} in ${place}; allowed: finite numbers`);
}

/** INVALID_ARGUMENT unless `queries` is [1 to 4096, dimension] and finite. */
export function checkQueries(field: string, queries: Float32Array, dimension: number): void {
  const count = queries.length / dimension;
  if (!Number.isInteger(count) || count === 0) {
    throw invalidField(field, `got ${queries.length} numbers; allowed: ${dimension} a query, 1 query at least`);
  }
  if (count > maxQueries) throw invalidField(field, `got ${count} queries; allowed: ${maxQueries}`);
  checkFinite(field, queries, dimension);
}

/** INVALID_ARGUMENT unless `k` is 1 to `max`. */
export function checkK(k: number, max: number): void {
  if (k < 1 || k > max) throw invalidField('k', `got ${k}; allowed: 1 to ${max}`);
}
