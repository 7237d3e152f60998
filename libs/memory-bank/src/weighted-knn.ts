// Weighted k-nearest-neighbour classification with a memory bank: how good are the features, without training anything.
// "Memory bank" here is a table of features with labels, filled once and searched; it is not MoCo's queue of negatives.
import { KindredError } from '@kindred/errors';
import { exactTopK } from './top-k.js';
import { checkTemperature } from './votes.js';
import type { Neighbours } from './top-k.js';

/** What {@link weightedKnn} needs. */
export interface WeightedKnnOptions {
  /** Features of the bank, [n, dimension], L2-normalised; dimension is `bank.length / labels.length`. */
  readonly bank: Float32Array;
  /** Classes of the bank's rows, [n], 0 to `classes` - 1. */
  readonly labels: Int32Array;
  /** Features to classify, [queries, dimension], L2-normalised. */
  readonly queries: Float32Array;
  /** Voters a query; all rows vote where the bank holds fewer. @default 100, SCAN's memory bank */
  readonly k?: number;
  /** Divides the similarities. @default 0.1, SCAN's memory bank */
  readonly temperature?: number;
  /** Number of classes. */
  readonly classes: number;
  /** Finds the neighbours, exactly, of equal ones the first. @default the slow {@link exactTopK} */
  readonly search?: (query: {
    readonly bank: Float32Array;
    readonly queries: Float32Array;
    readonly dimension: number;
    readonly k: number;
  }) => Neighbours;
}

/** Classes of the queries. */
export interface WeightedKnnResult {
  /** [queries]; of classes with equal votes the smallest. */
  readonly predictions: Int32Array;
  /** Votes of each class as parts of all votes, [queries, classes]. */
  readonly shares: Float32Array;
}

/**
 * Classifies each query by its `k` most similar rows (inner product), each voting for its label with weight
 * exp(similarity / temperature) (Wu et al. 2018, section 3.4). INVALID_ARGUMENT when shapes do not fit, a label is outside
 * 0 to `classes` - 1, or the bank is empty.
 */
export function weightedKnn(options: WeightedKnnOptions): WeightedKnnResult {
  const { bank, labels, queries, k = 100, temperature = 0.1, classes } = options;
  const dimension = checkedDimension(options);
  checkTemperature(temperature);
  const { search = ({ bank: vectors, ...query }) => exactTopK(query, vectors) } = options;
  const { scores, positions, k: voters, queries: count } = search({ bank, queries, dimension, k });
  const predictions = new Int32Array(count);
  const shares = new Float32Array(count * classes);
  const votes = new Float64Array(classes);
  for (let query = 0; query < count; query++) {
    votes.fill(0);
    const start = query * voters;
    // Relative to the nearest row: the shares stay the same, and nothing overflows.
    const best = scores[start]!;
    let all = 0;
    for (let i = start; i < start + voters; i++) {
      const weight = Math.exp((scores[i]! - best) / temperature);
      const label = labels[positions[i]!]!;
      votes[label] = votes[label]! + weight;
      all += weight;
    }
    let winner = 0;
    for (let label = 0; label < classes; label++) {
      shares[query * classes + label] = votes[label]! / all;
      if (votes[label]! > votes[winner]!) winner = label;
    }
    predictions[query] = winner;
  }
  return { predictions, shares };
}

function checkedDimension({ bank, labels, queries, classes }: WeightedKnnOptions): number {
  const dimension = bank.length / labels.length;
  if (!Number.isInteger(dimension) || dimension < 1 || queries.length % dimension !== 0) {
    throw new KindredError(
      'INVALID_ARGUMENT',
      `weighted kNN: got ${bank.length} bank numbers for ${labels.length} labels and ${queries.length} query numbers; ` +
        `allowed: the same whole number of numbers for each row, 1 row at least`,
    );
  }
  const wrong = labels.findIndex((label) => label < 0 || label >= classes);
  if (wrong === -1) return dimension;
  throw new KindredError(
    'INVALID_ARGUMENT',
    `weighted kNN: got label ${labels[wrong]} in row ${wrong}; allowed: 0 to ${classes - 1}`,
  );
}
