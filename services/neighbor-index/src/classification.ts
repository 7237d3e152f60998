// Classifies queries by the votes of their nearest points.
import { KindredError } from '@kindred/errors';
import { voteByNeighbours, type Vote } from '@kindred/memory-bank';
import type { Collection, SearchQuery } from './engine/engine.js';

/** The reference's number of voters and temperature (SCAN's memory bank), taken where a request says 0. */
const defaults = { k: 100, temperature: 0.1 } as const;
/** Queries voted on before other work of the process gets a turn. */
const queriesPerTurn = 256;

/** How many vote, and how. */
export interface VoteSettings {
  readonly k: number;
  readonly temperature: number;
}

/** Fills in the reference's values for 0. */
export function voteSettings(k: number, temperature: number): VoteSettings {
  return { k: k === 0 ? defaults.k : k, temperature: temperature === 0 ? defaults.temperature : temperature };
}

/**
 * One vote a query. Unlabelled points among the nearest do not vote; with none but those, the label is -1. With the metric L2
 * the similarity is minus the squared distance. FAILED_PRECONDITION when the collection holds no labels.
 */
export async function classify(
  collection: Collection,
  query: SearchQuery,
  temperature: number,
  signal: AbortSignal,
): Promise<Vote[]> {
  if (!(await collection.hasLabels())) {
    throw new KindredError(
      'FAILED_PRECONDITION',
      `collection '${collection.name}' holds no labels; upsert points with labels first`,
      { resource: { type: 'collection', name: collection.name } },
    );
  }
  const { k, counts, scores, labels } = await collection.search(query, signal);
  if (k === 0) return Array.from(counts, () => ({ label: -1, shares: [] }));
  const similarities = collection.spec.metric === 'l2' ? scores.map((score) => -score) : scores;
  const votes: Vote[] = [];
  for (let start = 0; start < scores.length; start += queriesPerTurn * k) {
    const end = start + queriesPerTurn * k;
    const part = { scores: similarities.subarray(start, end), labels: labels.subarray(start, end) };
    votes.push(...voteByNeighbours({ ...part, k, temperature }));
    await new Promise((resolve) => setImmediate(resolve));
  }
  return votes;
}
