// The contract's calls, translated to the service's nouns and back; no mathematics.
import { KindredError, invalidField } from '@kindred/errors';
import { MiningState, type MiningJob, type NeighborIndexServiceImplementation } from '@kindred/protocol/neighbors';
import { float32Of, int32Of, uint64Of, type Job } from '@kindred/service-runtime';
import { classify, voteSettings } from './classification.js';
import type { Limits } from './config.js';
import type { Indexes } from './indexes.js';
import type { Mining, MiningProgress } from './mining.js';
import { createUpsertBatch, type UpsertBatch } from './upsert-batch.js';
import type { LabelledNeighbours, VectorIndex } from './vector-index.js';
import { checkK, checkQueries } from './vectors.js';

const maxK = 2048;
/** Neighbours an answer: at most 32 bytes each, and an answer is built in one go on the event loop. */
const maxNeighbours = 1_000_000;
const maxVotes = 10;

/** What the handlers hand their work to. */
export interface HandlerParts {
  readonly indexes: Indexes;
  readonly mining: Mining;
  readonly limits: Limits;
}

/** Makes the service's handlers. */
export function createHandlers({ indexes, mining, limits }: HandlerParts): NeighborIndexServiceImplementation {
  return {
    createIndex: async (request) => ({ index: indexToWire(await indexes.create(request)) }),
    getIndex: async ({ indexId }) => ({ index: indexToWire(indexes.get(indexId)) }),
    listIndexes: async () => ({ indexes: indexes.list().map(indexToWire) }),
    async deleteIndex({ indexId }) {
      await indexes.delete(indexId);
      return {};
    },
    async upsert(requests) {
      let index: VectorIndex | null = null;
      let batch: UpsertBatch | null = null;
      for await (const request of requests) {
        index ??= indexes.get(request.indexId);
        batch ??= createUpsertBatch(index.manifest.dimension, limits);
        if (request.indexId !== '' && request.indexId !== index.id) {
          throw invalidField(
            'index_id',
            `got '${request.indexId}'; allowed: '${index.id}' as in the first message, or empty`,
          );
        }
        batch.add({
          ids: uint64Of(request.ids, 'ids'),
          vectors: float32Of(request.vectors, 'vectors'),
          labels: int32Of(request.labels, 'labels'),
        });
      }
      if (index === null || batch === null) {
        throw invalidField('index_id', 'got a stream without messages; allowed: the index in the first message');
      }
      const rows = batch.rows();
      await indexes.upsert(index, rows);
      return { upserted: BigInt(rows.ids.length), size: BigInt(index.size) };
    },
    async search(request, { signal }) {
      const index = indexes.get(request.indexId);
      const { dimension } = index.manifest;
      const field = request.query.length > 0 ? 'query' : 'queries';
      if (field === 'query' && request.queries.length > 0) {
        throw invalidField('query', 'got both queries and query; allowed: one of them');
      }
      const queries = field === 'query' ? Float32Array.from(request.query) : float32Of(request.queries, field);
      checkQueries(field, queries, dimension);
      checkK(request.k, maxK);
      const count = queries.length / dimension;
      checkAnswer(count, Math.min(request.k, index.size));
      return { results: neighboursToWire(await index.search(queries, request.k, signal)) };
    },
    async classify(request, { signal }) {
      const index = indexes.get(request.indexId);
      const queries = float32Of(request.queries, 'queries');
      const settings = voteSettings(request.k, request.temperature);
      checkQueries('queries', queries, index.manifest.dimension);
      checkK(settings.k, maxK);
      if (!(settings.temperature > 0 && Number.isFinite(settings.temperature))) {
        throw invalidField('temperature', `got ${settings.temperature}; allowed: a number above 0, or 0 for 0.1`);
      }
      const votes = await classify(index, queries, settings, signal);
      return { results: votes.map(({ label, shares }) => ({ label, votes: shares.slice(0, maxVotes) })) };
    },
    async startMining({ indexId, k, key }) {
      const index = indexes.get(indexId);
      checkK(k, maxK - 1);
      return { job: jobToWire(mining.start(index, k, key)) };
    },
    getMining: async ({ jobId }) => ({ job: jobToWire(mining.get(jobId)) }),
    async *watchMining({ jobId }, { signal }) {
      for await (const job of mining.watch(jobId, signal)) yield { job: jobToWire(job) };
    },
    cancelMining: async ({ jobId }) => ({ job: jobToWire(mining.cancel(jobId)) }),
  };
}

function checkAnswer(queries: number, k: number): void {
  if (queries * k <= maxNeighbours) return;
  throw new KindredError(
    'RESOURCE_EXHAUSTED',
    `got ${queries} queries of ${k} neighbours; allowed: ${maxNeighbours} neighbours an answer; send fewer queries a call`,
  );
}

function indexToWire({ id, size, manifest: { dimension, description, createTime } }: VectorIndex) {
  return { indexId: id, dimension, size: BigInt(size), description, createTime: new Date(createTime) };
}

function neighboursToWire({ k, counts, ids, scores, labels }: LabelledNeighbours) {
  return Array.from(counts, (found, query) => ({
    neighbors: Array.from({ length: found }, (_, i) => {
      const at = query * k + i;
      return { id: ids[at]!, score: scores[at]!, label: labels[at]! };
    }),
  }));
}

const stateToWire = {
  running: MiningState.RUNNING,
  succeeded: MiningState.SUCCEEDED,
  failed: MiningState.FAILED,
  cancelled: MiningState.CANCELLED,
} as const;

function jobToWire({ id, state, progress, error }: Job<MiningProgress>): MiningJob {
  return {
    jobId: id,
    state: stateToWire[state],
    completed: BigInt(progress.completed),
    total: BigInt(progress.total),
    key: progress.key,
    accuracy: progress.accuracy ?? undefined,
    errorCode: error?.code ?? '',
    errorMessage: error?.message ?? '',
  };
}
