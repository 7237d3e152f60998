// Searches from the wire, checked, and their answers back.
import { invalidField } from '@kindred/errors';
import type { Neighbors, SearchOptions, SearchRequest, SearchResponse } from '@kindred/protocol/neighbors';
import { bytesOf, float32Of } from '@kindred/service-runtime';
import { createAnswerBudget, tooLarge, type AnswerBudget } from './answer-budget.js';
import type { Collection, Hits, SearchQuery } from './engine/engine.js';
import type { CollectionSpec } from './engine/spec.js';
import { checkFilter } from './filter.js';
import { contractLimits } from './limits.js';
import { checkK, checkedQueries } from './vectors.js';

/** What Search asks of a collection. INVALID_ARGUMENT with the field; RESOURCE_EXHAUSTED for too large an answer. */
export function queryFromWire(request: SearchRequest, spec: CollectionSpec): SearchQuery {
  const field = request.query.length > 0 ? 'query' : 'queries';
  if (field === 'query' && request.queries.length > 0) {
    throw invalidField('query', 'got both queries and query; allowed: one of them');
  }
  const given = field === 'query' ? Float32Array.from(request.query) : float32Of(request.queries, field);
  const queries = checkedQueries(field, given, spec.dimension, spec.metric);
  checkK(request.k, contractLimits.k);
  const query = { queries, k: request.k, ...optionsFromWire(request.options, spec) };
  checkAnswerSize([{ query, dimension: spec.dimension }]);
  return query;
}

/** The options of a search, with what holds where they are absent. */
export function optionsFromWire(
  options: SearchOptions | undefined,
  { index }: CollectionSpec,
): Omit<SearchQuery, 'queries' | 'k'> {
  const { efSearch = 0, probes = 0, scoreThreshold } = options ?? {};
  if (efSearch !== 0 && index.kind !== 'hnsw') {
    throw invalidField(
      'options.ef_search',
      `got ${efSearch} for an index of kind ${index.kind}; allowed: with hnsw only`,
    );
  }
  if (probes !== 0 && index.kind !== 'ivf-flat' && index.kind !== 'ivf-pq') {
    throw invalidField(
      'options.probes',
      `got ${probes} for an index of kind ${index.kind}; allowed: with ivf_flat and ivf_pq only`,
    );
  }
  if (efSearch > contractLimits.efSearch)
    throw invalidField('options.ef_search', `got ${efSearch}; allowed: 0 to ${contractLimits.efSearch}`);
  if (probes > contractLimits.probes)
    throw invalidField('options.probes', `got ${probes}; allowed: 0 to ${contractLimits.probes}`);
  if (scoreThreshold !== undefined && Number.isNaN(scoreThreshold)) {
    throw invalidField('options.score_threshold', 'got NaN; allowed: a number');
  }
  return {
    filter: checkFilter(options?.filter, 'options.filter'),
    scoreThreshold: scoreThreshold ?? null,
    include: { vectors: options?.includeVectors ?? false, payloads: options?.includePayloads ?? false },
    efSearch,
    probes,
    exact: options?.exact ?? false,
  };
}

/** Asks a collection what a request from the wire wants to know. */
export async function answerSearch(
  collection: Collection,
  request: SearchRequest,
  signal: AbortSignal,
): Promise<SearchResponse> {
  const query = within(queryFromWire(request, collection.spec), searchBudget());
  return { results: hitsToWire(await collection.search(query, signal)) };
}

/** Neighbours for the wire, by query. */
export function hitsToWire({ k, counts, ids, scores, labels, payloads, vectors }: Hits): Neighbors[] {
  return Array.from(counts, (found, query) => ({
    neighbors: Array.from({ length: found }, (_, i) => {
      const at = query * k + i;
      const id = ids[at]!;
      const vector = vectors?.[at] ?? null;
      return {
        id: typeof id === 'bigint' ? id : 0n,
        textId: typeof id === 'string' ? id : '',
        score: scores[at]!,
        label: labels[at]!,
        payload: payloads?.[at] ?? '',
        vector: vector === null ? noBytes : bytesOf(vector),
      };
    }),
  }));
}

const noBytes = new Uint8Array(0);

/**
 * What the answer to some searches may have to hold, before any of them begins. RESOURCE_EXHAUSTED, with the field, beyond
 * 1,000,000 neighbours or 48 MiB of vectors.
 */
export function checkAnswerSize(
  asked: readonly { readonly query: SearchQuery; readonly dimension: number }[],
  field = 'k',
): void {
  let neighbors = 0;
  let bytes = 0;
  for (const { query, dimension } of asked) {
    const most = (query.queries.length / dimension) * query.k;
    neighbors += most;
    if (query.include.vectors) bytes += most * dimension * 4;
  }
  if (neighbors > contractLimits.neighbors) {
    throw tooLarge(
      field,
      `${neighbors} neighbours, all queries together; allowed: ${contractLimits.neighbors}; send fewer queries a call, or a smaller k`,
    );
  }
  if (bytes > contractLimits.answerVectorBytes) {
    throw tooLarge(
      'options.include_vectors',
      `up to ${bytes} bytes of vectors; allowed: ${contractLimits.answerVectorBytes}; ask for fewer neighbours or no vectors`,
    );
  }
}

/** The budget of an answer to searches; several searches of a call share one. */
export function searchBudget(): AnswerBudget {
  return createAnswerBudget('k', 'ask for fewer neighbours a call, or without payloads and vectors');
}

/** The same search, held to a budget. */
export function within(query: SearchQuery, budget: AnswerBudget): SearchQuery {
  return { ...query, include: { ...query.include, budget } };
}
