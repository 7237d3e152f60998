// Classifies queries by the votes of their nearest vectors.
import { KindredError } from '@kindred/errors';
import { voteByNeighbours, type Vote } from '@kindred/memory-bank';
import type { VectorIndex } from './vector-index.js';

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
 * One vote a query, [n, dimension]. Unlabelled vectors among the nearest do not vote; with none but those, the label is -1.
 * FAILED_PRECONDITION when the index holds no labels.
 */
export async function classify(
  index: VectorIndex,
  queries: Float32Array,
  settings: VoteSettings,
  signal: AbortSignal,
): Promise<Vote[]> {
  if (index.labelled === 0) {
    throw new KindredError(
      'FAILED_PRECONDITION',
      `index '${index.id}' holds no labels; upsert vectors with labels first`,
      {
        resource: { type: 'index', name: index.id },
      },
    );
  }
  const { k, scores, labels } = await index.search(queries, settings.k, signal);
  const votes: Vote[] = [];
  for (let start = 0; start < scores.length; start += queriesPerTurn * k) {
    const end = start + queriesPerTurn * k;
    const part = { scores: scores.subarray(start, end), labels: labels.subarray(start, end) };
    votes.push(...voteByNeighbours({ ...part, k, temperature: settings.temperature }));
    await new Promise((resolve) => setImmediate(resolve));
  }
  return votes;
}
