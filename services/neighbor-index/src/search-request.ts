// Searches from the wire, checked, and their answers back.
import { KindredError, invalidField } from '@kindred/errors';
import type { Neighbors, SearchOptions, SearchRequest, SearchResponse } from '@kindred/protocol/neighbors';
import { bytesOf, float32Of } from '@kindred/service-runtime';
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
  checkAnswer(query, spec.dimension);
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
  if (efSearch > 4096) throw invalidField('options.ef_search', `got ${efSearch}; allowed: 0 to 4096`);
  if (probes > 65_536) throw invalidField('options.probes', `got ${probes}; allowed: 0 to 65536`);
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
  return { results: hitsToWire(await collection.search(queryFromWire(request, collection.spec), signal)) };
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

function checkAnswer({ queries, k, include }: SearchQuery, dimension: number): void {
  const neighbors = (queries.length / dimension) * k;
  if (neighbors > contractLimits.neighbors) {
    throw new KindredError(
      'RESOURCE_EXHAUSTED',
      `got ${queries.length / dimension} queries of ${k} neighbours; allowed: ${contractLimits.neighbors} neighbours an answer; send fewer queries a call`,
    );
  }
  const bytes = neighbors * dimension * 4;
  if (!include.vectors || bytes <= contractLimits.answerVectorBytes) return;
  throw new KindredError(
    'RESOURCE_EXHAUSTED',
    `the answer's vectors would have ${bytes} bytes; allowed: ${contractLimits.answerVectorBytes}; ask for fewer neighbours or no vectors`,
  );
}
