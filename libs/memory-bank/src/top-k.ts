// The k largest inner products of each query, by the definition.
import { KindredError } from '@kindred/errors';

/** Nearest vectors of each query, best first. */
export interface Neighbours {
  /** Queries. */
  readonly queries: number;
  /** Neighbours a query: as asked, or the number of vectors where that is smaller. */
  readonly k: number;
  /** Inner products, [queries, k], falling in each row. */
  readonly scores: Float32Array;
  /** Positions of the vectors, [queries, k]. */
  readonly positions: Int32Array;
}

/** Options of {@link exactTopK}. */
export interface TopKOptions {
  /** [queries, dimension], row-major. */
  readonly queries: Float32Array;
  /** Numbers a vector. */
  readonly dimension: number;
  /** Neighbours a query, 1 or more. */
  readonly k: number;
}

/**
 * The `k` nearest vectors of each query by the definition: all inner products, in double precision, then a full sort; of equal scores
 * the first vector comes first. The slow reference that faster searches are judged by. `vectors`: [n, dimension].
 *
 * @throws KindredError INVALID_ARGUMENT when a length is no multiple of `dimension`, or `k` or `dimension` below 1.
 */
export function exactTopK({ queries, dimension, k }: TopKOptions, vectors: Float32Array): Neighbours {
  atLeastOne('dimension', dimension);
  atLeastOne('k', k);
  const count = rowsOf('queries', queries, dimension);
  const size = rowsOf('vectors', vectors, dimension);
  const kept = Math.min(k, size);
  const scores = new Float32Array(count * kept);
  const positions = new Int32Array(count * kept);
  for (let query = 0; query < count; query++) {
    const products = Array.from({ length: size }, (_, position) => {
      let sum = 0;
      for (let i = 0; i < dimension; i++) sum += queries[query * dimension + i]! * vectors[position * dimension + i]!;
      return { position, score: Math.fround(sum) };
    });
    products.sort((a, b) => b.score - a.score || a.position - b.position);
    for (let i = 0; i < kept; i++) {
      scores[query * kept + i] = products[i]!.score;
      positions[query * kept + i] = products[i]!.position;
    }
  }
  return { queries: count, k: kept, scores, positions };
}

function atLeastOne(name: string, value: number): void {
  if (Number.isInteger(value) && value >= 1) return;
  throw new KindredError('INVALID_ARGUMENT', `top-k: got ${name} ${value}; allowed: a whole number of 1 or more`);
}

function rowsOf(name: string, values: Float32Array, dimension: number): number {
  const rows = values.length / dimension;
  if (Number.isInteger(rows)) return rows;
  throw new KindredError(
    'INVALID_ARGUMENT',
    `top-k: got ${values.length} numbers of ${name}; allowed: a multiple of the dimension ${dimension}`,
  );
}
