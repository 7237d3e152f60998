// The vote of weighted kNN: each neighbour for its label, with weight exp(similarity / temperature).
import { KindredError } from '@kindred/errors';

/** A class with its part of the votes. */
export interface ClassShare {
  readonly label: number;
  /** 0 to 1; all shares of one vote add up to 1. */
  readonly share: number;
  /** Sum of its voters' weights, each exp((similarity - largest similarity) / temperature). */
  readonly weight: number;
  /** Neighbours that voted for it. */
  readonly voters: number;
}

/** The outcome of one query's vote. */
export interface Vote {
  /** The class with most votes, of equal ones the smallest; -1 when no neighbour has a label. */
  readonly label: number;
  /** The classes that got votes, best first. */
  readonly shares: readonly ClassShare[];
}

/** Neighbours of some queries, and how they vote. */
export interface VoteOptions {
  /** Similarities, [queries, k]. */
  readonly scores: Float32Array;
  /** Labels of the neighbours, [queries, k]; below 0: no label, no vote. */
  readonly labels: Int32Array;
  /** Neighbours a query. */
  readonly k: number;
  /** Divides the similarities; above 0. */
  readonly temperature: number;
}

/**
 * Counts the votes of each query's neighbours (Wu et al. 2018, "Unsupervised Feature Learning via Non-Parametric
 * Instance Discrimination", section 3.4). Weights are relative to the nearest labelled neighbour's, which leaves the
 * shares as they are and cannot overflow, however large the similarities.
 */
export function voteByNeighbours({ scores, labels, k, temperature }: VoteOptions): Vote[] {
  checkTemperature(temperature);
  if (scores.length !== labels.length || scores.length % k !== 0) {
    throw new KindredError(
      'INVALID_ARGUMENT',
      `votes: got ${scores.length} scores and ${labels.length} labels; allowed: as many of both, a multiple of k = ${k}`,
    );
  }
  return Array.from({ length: scores.length / k }, (_, query) => vote(scores, labels, query * k, k, temperature));
}

/** @throws KindredError INVALID_ARGUMENT unless `temperature` is a finite number above 0. */
export function checkTemperature(temperature: number): void {
  if (Number.isFinite(temperature) && temperature > 0) return;
  throw new KindredError('INVALID_ARGUMENT', `temperature: got ${temperature}; allowed: a number above 0`, {
    violations: [{ field: 'temperature', description: `got ${temperature}; allowed: a number above 0` }],
  });
}

/** The labels of 0 or more that occur in `labels`, ascending. */
export function distinctLabels(labels: Int32Array): number[] {
  return [...new Set(labels)].filter((label) => label >= 0).sort((a, b) => a - b);
}

function vote(scores: Float32Array, labels: Int32Array, start: number, k: number, temperature: number): Vote {
  let best = -Infinity;
  for (let i = start; i < start + k; i++) if (labels[i]! >= 0 && scores[i]! > best) best = scores[i]!;
  const weights = new Map<number, { weight: number; voters: number }>();
  let all = 0;
  for (let i = start; i < start + k; i++) {
    const label = labels[i]!;
    if (label < 0) continue;
    const weight = Math.exp((scores[i]! - best) / temperature);
    const votes = weights.get(label) ?? { weight: 0, voters: 0 };
    weights.set(label, { weight: votes.weight + weight, voters: votes.voters + 1 });
    all += weight;
  }
  const shares = [...weights].map(([label, votes]) => ({ label, share: votes.weight / all, ...votes }));
  shares.sort((a, b) => b.share - a.share || a.label - b.label);
  return { label: shares[0]?.label ?? -1, shares };
}
