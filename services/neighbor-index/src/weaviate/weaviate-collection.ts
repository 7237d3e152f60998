// A collection that a Weaviate cluster keeps. Nothing is held here: every call is asked of the cluster.
import { setMaxListeners } from 'node:events';
import { KindredError } from '@kindred/errors';
import type { ConsistencyLevel, StoredObject } from '@kindred/weaviate';
import type { Collection, CollectionStats, Hits, PageRequest, SearchQuery, Written } from '../engine/engine.js';
import { compareIds, type Included, type PointId, type PointRecord } from '../engine/points.js';
import { classNameOf, properties, scanLimit, type DescribedClass } from './class-schema.js';
import { readLevels, type WeaviateCluster } from './cluster.js';
import { anyFact, labelledFact } from './facts.js';
import { createHits } from './hits.js';
import { lowestUuid, numberOfUuid, orderOf, uuidOf } from './object-ids.js';
import { checkPayloads, idOf, neededProperties, objectsOf, recordOf } from './point-objects.js';
import { and, whereOf, withFact, type Where } from './where.js';

/** What collections of one cluster share. */
export interface WeaviateCollectionParts {
  readonly cluster: WeaviateCluster;
  readonly prefix: string;
  /** Of writes. */
  readonly consistency: ConsistencyLevel;
}

/** Searches of one call that are asked at a time. */
const searchesAtOnce = 16;
/** Ids of one call to Weaviate; QUERY_MAXIMUM_RESULTS is 10,000 unless a cluster sets it. */
const idsPerCall = 1_000;
/** Bytes of one answer from Weaviate, about. */
const answerBytes = 16 * 1024 * 1024;
const payloadBytes = 32 * 1024;
const anyPoint = withFact(anyFact);
/** Comes after every number, before every text. */
const afterNumbers = orderOf((1n << 64n) - 1n);

/** Makes the collection's face; whether the class is there is found out by the first call. */
export function createWeaviateCollection(
  { collection: name, spec, createTime }: DescribedClass,
  { cluster, prefix, consistency }: WeaviateCollectionParts,
): Collection {
  const className = classNameOf(prefix, name);
  const level = readLevels[consistency];
  const unending = new AbortController().signal;
  const count = async (where: Where, signal: AbortSignal): Promise<number> => {
    if (where === 'none') return 0;
    return cluster.read((node) => node.count(className, where === 'all' ? null : where, level), signal);
  };
  const pageSize = ({ vectors, payloads }: Included): number => {
    const bytes = 200 + (vectors ? 4 * spec.dimension : 0) + (payloads ? payloadBytes : 0);
    return Math.max(1, Math.min(idsPerCall, Math.floor(answerBytes / bytes)));
  };
  const read = (include: Included) => ({
    properties: neededProperties(include),
    vectors: include.vectors,
    level,
  });

  /** Objects of numbers by Weaviate's own cursor, up to `limit` of them; fewer: there are no more. */
  const numbersAfter = async (
    after: bigint | null,
    limit: number,
    include: Included,
    signal: AbortSignal,
  ): Promise<StoredObject[]> => {
    const found = await cluster.read(
      (node) =>
        node.fetch(className, {
          ...read(include),
          filter: null,
          limit,
          after: after === null ? lowestUuid : uuidOf(after),
        }),
      signal,
    );
    return found.filter(({ uuid }) => numberOfUuid(uuid) !== null);
  };
  /** Objects of any ids, or that match, sorted by Weaviate. */
  const sortedAfter = async (
    after: string | null,
    where: Where,
    limit: number,
    include: Included,
    signal: AbortSignal,
  ): Promise<StoredObject[]> => {
    const above: Where = after === null ? 'all' : { kind: 'above', property: properties.order, value: after };
    const asked = and([where, above]);
    if (asked === 'none') return [];
    return cluster.read(
      (node) =>
        node.fetch(className, {
          ...read(include),
          filter: asked === 'all' ? anyPoint : asked,
          limit,
          sortBy: properties.order,
        }),
      signal,
    );
  };
  /** Up to `limit` points in Scroll's order. */
  const pointsAfter = async (
    { after, limit, filter, include }: PageRequest,
    signal: AbortSignal,
  ): Promise<PointRecord[]> => {
    const where = whereOf(filter);
    const points: PointRecord[] = [];
    const size = pageSize(include);
    const last = (): PointId | null => points.at(-1)?.id ?? after;
    let inNumbers = where === 'all' && typeof after !== 'string';
    while (points.length < limit) {
      signal.throwIfAborted();
      const want = Math.min(size, limit - points.length);
      const from = last();
      if (inNumbers) {
        const found = await numbersAfter(from as bigint | null, want, include, signal);
        points.push(...found.map((object) => recordOf(object, include)));
        inNumbers = found.length === want;
        continue;
      }
      // Without a filter the numbers have been read by now.
      const order = from === null || (where === 'all' && typeof from === 'bigint') ? null : orderOf(from);
      const start = where === 'all' ? (order ?? afterNumbers) : order;
      const found = await sortedAfter(start, where, want, include, signal);
      points.push(...found.map((object) => recordOf(object, include)));
      if (found.length < want) break;
    }
    return points;
  };
  const near = async (query: SearchQuery, where: Where, signal: AbortSignal): Promise<StoredObject[][]> => {
    const queries = query.queries.length / spec.dimension;
    const answers: StoredObject[][] = Array.from({ length: queries }, () => []);
    let next = 0;
    const work = async (): Promise<void> => {
      for (let i = next++; i < queries; i = next++) {
        const vector = query.queries.subarray(i * spec.dimension, (i + 1) * spec.dimension);
        const filter = where === 'all' || where === 'none' ? null : where;
        answers[i] = await cluster.read(
          (node) => node.near(className, { ...read(query.include), vector, limit: query.k, filter }),
          signal,
        );
      }
    };
    await Promise.all(Array.from({ length: Math.min(searchesAtOnce, queries) }, work));
    return answers;
  };
  /** What is asked so that Weaviate compares every point. */
  const exactly = async (where: Where, signal: AbortSignal): Promise<Where> => {
    if (spec.index.kind === 'flat') return where;
    const matching = await count(where, signal);
    if (matching <= scanLimit) return and([where, anyPoint]);
    throw new KindredError(
      'FAILED_PRECONDITION',
      `exact search of ${matching} points; allowed for hnsw with ENGINE_WEAVIATE: ${scanLimit}; use a filter, or a collection with the index flat`,
      { resource: { type: 'collection', name } },
    );
  };
  const removeAll = async (where: Where, signal: AbortSignal): Promise<number> => {
    if (where === 'none') return 0;
    let removed = 0;
    for (;;) {
      signal.throwIfAborted();
      const done = await cluster.write(
        (node) => node.remove(className, where === 'all' ? anyPoint : where, consistency),
        signal,
      );
      removed += done.removed;
      if (done.matched === 0 || (await count(where, signal)) === 0) return removed;
    }
  };
  const written = async (stored: number, signal: AbortSignal): Promise<Written> => ({
    count: stored,
    size: await count('all', signal),
    sequence: 0n,
  });

  return {
    name,
    spec,
    createTime,
    size: () => count('all', unending),
    hasLabels: async () => (await count(withFact(labelledFact), unending)) > 0,
    async upsert(parts, signal) {
      checkPayloads(parts);
      let stored = 0;
      for (const objects of objectsOf(parts, spec.dimension)) {
        await cluster.write((node) => node.put(className, objects, consistency), signal);
        stored += objects.length;
      }
      return written(stored, signal);
    },
    async delete({ ids, filter }, signal) {
      if (ids === null) return written(await removeAll(whereOf(filter), signal), signal);
      let removed = 0;
      const uuids = [...new Set(ids.map(uuidOf))];
      for (let start = 0; start < uuids.length; start += idsPerCall) {
        removed += await removeAll({ kind: 'ids', ids: uuids.slice(start, start + idsPerCall) }, signal);
      }
      return written(removed, signal);
    },
    async get(ids, include, signal) {
      const found = new Map<PointId, PointRecord>();
      const distinct = [...new Set(ids)];
      const size = pageSize(include);
      for (let start = 0; start < distinct.length; start += size) {
        const uuids = distinct.slice(start, start + size).map(uuidOf);
        const objects = await cluster.read(
          (node) =>
            node.fetch(className, { ...read(include), filter: { kind: 'ids', ids: uuids }, limit: uuids.length }),
          signal,
        );
        for (const object of objects) found.set(idOf(object), recordOf(object, include));
      }
      return ids.flatMap((id) => found.get(id) ?? []);
    },
    async scroll(request, signal) {
      const points = await pointsAfter({ ...request, limit: request.limit + 1 }, signal);
      if (points.length <= request.limit) return { points, next: null };
      points.length = request.limit;
      return { points, next: points.at(-1)!.id };
    },
    count: (filter, signal) => count(whereOf(filter), signal),
    async search(query, signal): Promise<Hits> {
      if (query.efSearch !== 0 && (spec.index.kind !== 'hnsw' || query.efSearch !== spec.index.efSearch)) {
        throw new KindredError(
          'FAILED_PRECONDITION',
          `options.ef_search: got ${query.efSearch}; with ENGINE_WEAVIATE it is the collection's, fixed when it is made; leave it 0`,
          { resource: { type: 'collection', name } },
        );
      }
      // Each search under way listens for the end of the call.
      setMaxListeners(0, signal);
      const matching = whereOf(query.filter);
      const where = query.exact ? await exactly(matching, signal) : matching;
      const queries = query.queries.length / spec.dimension;
      const answers = where === 'none' ? Array.from({ length: queries }, () => []) : await near(query, where, signal);
      return createHits(answers, query, spec);
    },
    async table(signal) {
      const include = { vectors: true, payloads: false };
      const points: PointRecord[] = [];
      for (let after: PointId | null = null; ;) {
        const page = await pointsAfter({ after, limit: pageSize(include), filter: null, include }, signal);
        for (const point of page) {
          // A point that is written meanwhile may be seen twice by a cursor.
          if (points.length === 0 || compareIds(points.at(-1)!.id, point.id) < 0) points.push(point);
        }
        if (page.length < pageSize(include)) break;
        after = page.at(-1)!.id;
      }
      const vectors = new Float32Array(points.length * spec.dimension);
      points.forEach(({ vector }, i) => vectors.set(vector!, i * spec.dimension));
      return { labels: Int32Array.from(points, ({ label }) => label), vectors };
    },
    async stats(): Promise<CollectionStats> {
      const [size, labelled, shards] = await Promise.all([
        count('all', unending),
        count(withFact(labelledFact), unending),
        cluster.read((node) => node.shards(className), unending),
      ]);
      return {
        size,
        labelled,
        deletedRows: 0,
        indexedRows: spec.index.kind === 'hnsw' ? size : 0,
        segments: [],
        growingRows: 0,
        memoryBytes: 0,
        diskBytes: 0,
        logBytes: 0,
        lastSequence: 0n,
        recovery: [],
        optimizing: false,
        nodes: shards.map(({ node, status, shard, objects }) =>
          shard === '' ? `${node} ${status}` : `${node} ${status}: shard ${shard}, ${objects} objects`,
        ),
      };
    },
  };
}
