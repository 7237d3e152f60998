// The k largest inner products of each query, over blocks of vectors: no matrix of similarities is ever held whole.
import { KindredError } from '@kindred/errors';
import { innerProducts } from './inner-products.js';

/** Vectors per block: their similarities to four queries, and the vectors (128 numbers each), stay in the cache. */
const blockVectors = 512;

/** Nearest vectors of each query, best first. */
export interface Neighbours {
  /** Queries. */
  readonly queries: number;
  /** Neighbours a query: as asked, or the number of vectors where that is smaller. */
  readonly k: number;
  /** Inner products, [queries, k], falling in each row. */
  readonly scores: Float32Array;
  /** Positions of the vectors in the order they were added, [queries, k]. */
  readonly positions: Int32Array;
}

/** Options of {@link createTopK}. */
export interface TopKOptions {
  /** [queries, dimension], row-major. */
  readonly queries: Float32Array;
  /** Numbers a vector. */
  readonly dimension: number;
  /** Neighbours a query, 1 or more. */
  readonly k: number;
}

/** Nearest neighbours in the making. */
export interface TopK {
  /** Considers more vectors, [n, dimension]; their positions follow on those before. */
  add(vectors: Float32Array): void;
  /** The neighbours among all vectors so far. Of equal scores the vector added first wins and stands first. */
  result(): Neighbours;
}

/**
 * Collects the `k` nearest vectors of each query while vectors arrive in blocks. Memory is queries × k, whatever the
 * number of vectors. INVALID_ARGUMENT when a length is no multiple of `dimension`, or `k` or `dimension` below 1.
 */
export function createTopK({ queries, dimension, k }: TopKOptions): TopK {
  atLeastOne('dimension', dimension);
  atLeastOne('k', k);
  const count = rowsOf('queries', queries, dimension);
  // One heap a query, the worst of the best on top: a new vector costs one comparison in most cases.
  const scores = new Float32Array(count * k).fill(-Infinity);
  const positions = new Int32Array(count * k).fill(-1);
  const products = new Float32Array(4 * blockVectors);
  let seen = 0;

  const addBlock = (block: Float32Array): void => {
    const vectors = block.length / dimension;
    for (let query = 0; query < count; query += 4) {
      const lanes = Math.min(4, count - query);
      innerProducts(queries, query, lanes, block, vectors, dimension, products);
      for (let lane = 0; lane < lanes; lane++) {
        const heap = (query + lane) * k;
        const row = lane * vectors;
        let worst = scores[heap]!;
        for (let i = 0; i < vectors; i++) {
          const score = products[row + i]!;
          // An unfilled place holds -Infinity at position -1; equal scores keep the earlier vector.
          if (score > worst || positions[heap] === -1) {
            replaceTop(scores, positions, heap, k, score, seen + i);
            worst = scores[heap]!;
          }
        }
      }
    }
    seen += vectors;
  };

  return {
    add(vectors) {
      rowsOf('vectors', vectors, dimension);
      const step = blockVectors * dimension;
      for (let start = 0; start < vectors.length; start += step) addBlock(vectors.subarray(start, start + step));
    },
    result() {
      const kept = Math.min(k, seen);
      const sorted = { scores: new Float32Array(count * kept), positions: new Int32Array(count * kept) };
      for (let query = 0; query < count; query++) {
        const heap = query * k;
        const order = Array.from({ length: k }, (_, i) => heap + i).filter((at) => positions[at] !== -1);
        order.sort((a, b) => scores[b]! - scores[a]! || positions[a]! - positions[b]!);
        order.forEach((at, i) => {
          sorted.scores[query * kept + i] = scores[at]!;
          sorted.positions[query * kept + i] = positions[at]!;
        });
      }
      return { queries: count, k: kept, ...sorted };
    },
  };
}

/**
 * The same by the definition: all inner products, in double precision, then a full sort. The slow reference that faster
 * searches are judged by. `vectors`: [n, dimension].
 */
export function exactTopK({ queries, dimension, k }: TopKOptions, vectors: Float32Array): Neighbours {
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

/** Puts a pair in the place of the heap's top and lets it sink below the pairs that are worse than it. */
function replaceTop(
  scores: Float32Array,
  positions: Int32Array,
  heap: number,
  k: number,
  score: number,
  position: number,
): void {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= k) break;
    if (
      child + 1 < k &&
      isWorse(scores, positions, heap + child + 1, scores[heap + child]!, positions[heap + child]!)
    ) {
      child++;
    }
    if (!isWorse(scores, positions, heap + child, score, position)) break;
    scores[heap + at] = scores[heap + child]!;
    positions[heap + at] = positions[heap + child]!;
    at = child;
  }
  scores[heap + at] = score;
  positions[heap + at] = position;
}

/** Whether the pair at `at` ranks below the other: no pair yet, a smaller score, or an equal one further back. */
function isWorse(scores: Float32Array, positions: Int32Array, at: number, score: number, position: number): boolean {
  if (positions[at] === -1) return position !== -1;
  if (position === -1) return false;
  const own = scores[at]!;
  return own < score || (own === score && positions[at]! > position);
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
