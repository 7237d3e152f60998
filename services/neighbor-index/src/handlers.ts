// The contract's calls, translated to the service's nouns and back; no mathematics.
import { setMaxListeners } from 'node:events';
import { KindredError, invalidField } from '@kindred/errors';
import type { NeighborIndexServiceImplementation } from '@kindred/protocol/neighbors';
import { float32Of } from '@kindred/service-runtime';
import { createAnswerBudget } from './answer-budget.js';
import { classify, voteSettings } from './classification.js';
import { checkName, type Collections } from './collections.js';
import type { EmbeddedEngine } from './engine/embedded-engine.js';
import type { Collection } from './engine/engine.js';
import { checkFilter, idFromWire } from './filter.js';
import type { ImageVectors } from './image-search.js';
import { contractLimits, type Limits } from './limits.js';
import type { Mining } from './mining.js';
import {
  answerSearch,
  checkAnswerSize,
  hitsToWire,
  optionsFromWire,
  queryFromWire,
  searchBudget,
  within,
} from './search-request.js';
import { answerStream } from './search-stream.js';
import type { Snapshots, SnapshotSummary } from './snapshots.js';
import { specFromWire } from './spec-wire.js';
import { createUpsertBatch, type UpsertBatch } from './upsert-batch.js';
import { checkK, checkedQueries } from './vectors.js';
import { collectionToWire, idToWire, idsFromWire, infoToWire, jobToWire, pointToWire, statsToWire } from './wire.js';

const defaultPage = 100;

/** What the handlers hand their work to. */
export interface HandlerParts {
  readonly version: string;
  readonly collections: Collections;
  readonly embedded: EmbeddedEngine;
  readonly snapshots: Snapshots;
  readonly mining: Mining;
  readonly images: ImageVectors;
  readonly limits: Limits;
  /** Of collections with ENGINE_WEAVIATE that do not say. */
  readonly defaultReplicas: number;
}

/** Makes the service's handlers. */
export function createHandlers(parts: HandlerParts): NeighborIndexServiceImplementation {
  const { collections, embedded, snapshots, mining, images, limits } = parts;
  const described = async (name: string) => ({
    collection: await collectionToWire(collections.describe(name), collections),
  });
  const search = async (request: Parameters<typeof answerSearch>[1], signal: AbortSignal) =>
    answerSearch(collections.get(request.collection), request, signal);

  return {
    getInfo: async () => infoToWire(parts.version, collections, limits, embedded.usage()),
    async createCollection({ collection, config }) {
      await collections.create(collection, specFromWire(config, parts.defaultReplicas));
      return described(collection);
    },
    getCollection: ({ collection }) => described(collection),
    async listCollections() {
      const all = await Promise.all(collections.list().map((one) => collectionToWire(one, collections)));
      return { collections: all };
    },
    async deleteCollection({ collection }) {
      await collections.delete(collection);
      return {};
    },
    async updateAliases({ changes }) {
      const names = new Set(collections.list().map(({ name }) => name));
      await collections.aliases.update(changes, (name) => names.has(name));
      return { aliases: collections.aliases.list() };
    },
    listAliases: async () => ({ aliases: collections.aliases.list() }),
    async upsert(requests, { signal }) {
      let collection: Collection | null = null;
      let batch: UpsertBatch | null = null;
      let named = '';
      try {
        for await (const request of requests) {
          if (collection === null) named = request.collection;
          collection ??= collections.get(named);
          batch ??= createUpsertBatch(collection.spec, limits, embedded.quotas.hold);
          if (request.collection !== '' && request.collection !== named) {
            throw invalidField(
              'collection',
              `got '${request.collection}'; allowed: '${named}' as in the first message, or empty`,
            );
          }
          batch.add(request);
        }
        if (collection === null || batch === null) {
          const got = 'got a stream without messages; allowed: the collection in the first message';
          throw invalidField('collection', got);
        }
        const { count, size, sequence } = await collection.upsert(batch.parts, signal);
        return { upserted: BigInt(count), size: BigInt(size), sequence };
      } finally {
        batch?.release();
      }
    },
    async delete(request, { signal }) {
      const collection = collections.get(request.collection);
      const ids = idsFromWire(request, contractLimits.deleteIds);
      const filter = checkFilter(request.filter, 'filter');
      if (ids.length > 0 === (filter !== null))
        throw invalidField('ids', 'got both or neither of ids and filter; allowed: one of them');
      const selection = filter === null ? { ids, filter } : { ids: null, filter };
      const { count, size, sequence } = await collection.delete(selection, signal);
      return { deleted: BigInt(count), size: BigInt(size), sequence };
    },
    async get(request, { signal }) {
      const collection = collections.get(request.collection);
      const ids = idsFromWire(request, contractLimits.getIds);
      const budget = createAnswerBudget('ids', 'ask for fewer ids a call, or without vectors and payloads');
      const include = { vectors: request.includeVectors, payloads: request.includePayloads, budget };
      return { points: (await collection.get(ids, include, signal)).map(pointToWire) };
    },
    async scroll(request, { signal }) {
      const collection = collections.get(request.collection);
      const limit = request.limit === 0 ? defaultPage : request.limit;
      if (limit > contractLimits.scroll)
        throw invalidField('limit', `got ${limit}; allowed: 1 to ${contractLimits.scroll}`);
      const after = request.after === undefined ? null : idFromWire(request.after, 'after');
      const filter = checkFilter(request.filter, 'filter');
      const budget = createAnswerBudget('limit', 'ask for fewer points a page');
      const include = { vectors: request.includeVectors, payloads: request.includePayloads, budget };
      const page = await collection.scroll({ after, limit, filter, include }, signal);
      return { points: page.points.map(pointToWire), next: page.next === null ? undefined : idToWire(page.next) };
    },
    async count(request, { signal }) {
      const collection = collections.get(request.collection);
      return { count: BigInt(await collection.count(checkFilter(request.filter, 'filter'), signal)) };
    },
    search: (request, { signal }) => search(request, signal),
    async multiSearch({ searches }, { signal }) {
      if (searches.length < 1 || searches.length > contractLimits.searches) {
        throw invalidField('searches', `got ${searches.length}; allowed: 1 to ${contractLimits.searches}`);
      }
      const asked = searches.map((one) => {
        const collection = collections.get(one.collection);
        return { collection, query: queryFromWire(one, collection.spec) };
      });
      const queries = asked.reduce(
        (sum, { query, collection }) => sum + query.queries.length / collection.spec.dimension,
        0,
      );
      if (queries > contractLimits.queries)
        throw invalidField('searches', `got ${queries} queries in all; allowed: ${contractLimits.queries}`);
      checkAnswerSize(
        asked.map(({ query, collection }) => ({ query, dimension: collection.spec.dimension })),
        'searches',
      );
      const budget = searchBudget();
      setMaxListeners(contractLimits.searches, signal);
      const found = await Promise.all(
        asked.map(({ collection, query }) => collection.search(within(query, budget), signal)),
      );
      return { answers: found.map((hits) => ({ results: hitsToWire(hits) })) };
    },
    searchStream(requests, { signal }) {
      // Each search under way listens for the end of the call.
      setMaxListeners(contractLimits.searches, signal);
      return answerStream(requests, (request) => search(request, signal));
    },
    async searchByImage({ collection: name, model, image, k, options }, { signal }) {
      const collection = collections.get(name);
      const { spec } = collection;
      checkK(k, contractLimits.k);
      const query = { k, ...optionsFromWire(options, spec) };
      checkAnswerSize([{ query: { queries: new Float32Array(spec.dimension), ...query }, dimension: spec.dimension }]);
      const vector = await images.vectorOf(model, image, signal);
      if (vector.length !== spec.dimension) {
        throw invalidField(
          'model',
          `got model '${model}' with vectors of ${vector.length} numbers; allowed: ${spec.dimension}, as the collection's`,
        );
      }
      const queries = checkedQueries('image', vector, spec.dimension, spec.metric);
      const bounded = within({ queries, ...query }, searchBudget());
      const [found] = hitsToWire(await collection.search(bounded, signal));
      return {
        neighbors: found?.neighbors ?? [],
        vector: new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength),
      };
    },
    async classify(request, { signal }) {
      const collection = collections.get(request.collection);
      const { spec } = collection;
      const settings = voteSettings(request.k, request.temperature);
      const queries = checkedQueries('queries', float32Of(request.queries, 'queries'), spec.dimension, spec.metric);
      checkK(settings.k, contractLimits.k);
      if (!(settings.temperature > 0 && Number.isFinite(settings.temperature))) {
        throw invalidField('temperature', `got ${settings.temperature}; allowed: a number above 0, or 0 for 0.1`);
      }
      const options = optionsFromWire(request.options, spec);
      const query = { queries, k: settings.k, ...options, include: { vectors: false, payloads: false } };
      // Voters are neighbours, though the answer names only the classes.
      checkAnswerSize([{ query, dimension: spec.dimension }]);
      const votes = await classify(collection, query, settings.temperature, signal);
      return { results: votes.map(({ label, shares }) => ({ label, votes: shares.slice(0, contractLimits.votes) })) };
    },
    async startMining({ collection: name, k, key }) {
      const collection = collections.get(name);
      checkK(k, contractLimits.k - 1);
      return { job: jobToWire(mining.start(collection, await collection.size(), k, key)) };
    },
    getMining: async ({ jobId }) => ({ job: jobToWire(mining.get(jobId)) }),
    async *watchMining({ jobId }, { signal }) {
      for await (const job of mining.watch(jobId, signal)) yield { job: jobToWire(job) };
    },
    cancelMining: async ({ jobId }) => ({ job: jobToWire(mining.cancel(jobId)) }),
    async snapshot({ collection: name }) {
      const collection = embedded.get(collections.get(name).name);
      if (collection === null) {
        throw new KindredError(
          'UNIMPLEMENTED',
          `collection '${name}' is kept by an engine that has backups of its own`,
        );
      }
      return { snapshot: snapshotToWire(await snapshots.make(collection)) };
    },
    async listSnapshots({ collection }) {
      checkName(collection, 'collection');
      return { snapshots: (await snapshots.list(collection)).map(snapshotToWire) };
    },
    async restore({ source, snapshotId, collection }) {
      checkName(source, 'source');
      const target = collection === '' ? source : collection;
      await collections.restore(target, () => snapshots.restore(source, snapshotId, target));
      return described(target);
    },
    getStats: async ({ collection }) => statsToWire(await collections.get(collection).stats()),
  };
}

function snapshotToWire(summary: SnapshotSummary) {
  return { ...summary, size: BigInt(summary.size), bytes: BigInt(summary.bytes), faissKeys: [...summary.faissKeys] };
}
