// One node of a Weaviate cluster: what is asked of it, by its own client, which is loaded when the first node is opened.
import { KindredError } from '@kindred/errors';
import type { Collection, ConsistencyLevel as ClientLevel, WeaviateClient } from 'weaviate-client';
import { fromWeaviate } from './failures.js';
import { toClientFilter, type WeaviateFilter } from './filter.js';

/** How many replicas take part in a call. */
export type ConsistencyLevel = 'all' | 'quorum' | 'one';

/** Where a node is. */
export interface WeaviateAddress {
  readonly host: string;
  readonly httpPort: number;
  readonly grpcPort: number;
}

/** How to open a node. */
export interface WeaviateNodeOptions extends WeaviateAddress {
  /** TLS for both ports. */
  readonly tls: boolean;
  /** Sent as a bearer token; null: none. */
  readonly apiKey: string | null;
  /** After this a call counts as unanswered, in milliseconds. @default 60000 */
  readonly timeoutMs?: number;
}

/** A class as the schema has it. */
export interface WeaviateClass {
  readonly name: string;
  readonly description: string;
}

/** An object to store; one of the same UUID is replaced. */
export interface WeaviateObject {
  readonly uuid: string;
  readonly vector: Float32Array;
  readonly properties: Readonly<Record<string, string | number | readonly string[]>>;
}

/** An object that is read. */
export interface StoredObject {
  readonly uuid: string;
  /** Null unless asked for. */
  readonly vector: Float32Array | null;
  /** Those asked for that the object has. */
  readonly properties: Readonly<Record<string, unknown>>;
  /** As the class's `distance` says; NaN where nothing was searched for. */
  readonly distance: number;
}

interface ReadRequest {
  readonly limit: number;
  readonly properties: readonly string[];
  readonly vectors: boolean;
  readonly filter: WeaviateFilter | null;
  readonly level: ConsistencyLevel;
}

/** Which objects to read. */
export interface FetchRequest extends ReadRequest {
  /** By UUID, those after this one; not with `filter` or `sortBy`. */
  readonly after?: string;
  /** A property of texts, ascending by their bytes. */
  readonly sortBy?: string;
}

/** What to search for. */
export interface NearRequest extends ReadRequest {
  readonly vector: Float32Array;
}

/** A shard's copy on a node. */
export interface ShardOfNode {
  readonly node: string;
  /** `HEALTHY`, `UNHEALTHY`, `UNAVAILABLE`. */
  readonly status: string;
  readonly shard: string;
  /** Updated now and then. */
  readonly objects: number;
}

/** A node. Every call throws a KindredError; one with `isSilent` when the node does not answer. */
export interface WeaviateNode {
  /** `host:httpPort`. */
  readonly address: string;
  /** Whether it answers at all. */
  isLive(): Promise<boolean>;
  classes(): Promise<WeaviateClass[]>;
  /** Makes a class from a schema as Weaviate's REST interface takes it. */
  createClass(schema: Readonly<Record<string, unknown>>): Promise<void>;
  /** Candidates of later searches of a class with the index hnsw; -1: as Weaviate chooses. */
  setSearchCandidates(name: string, ef: number): Promise<void>;
  /** Deletes a class with its objects; no such class is no error. */
  deleteClass(name: string): Promise<void>;
  /** Stores objects; on an error some of them may be stored. */
  put(name: string, objects: readonly WeaviateObject[], level: ConsistencyLevel): Promise<void>;
  /** Deletes objects, as many a call as QUERY_MAXIMUM_RESULTS of the cluster says; `matched`: those that it tried. */
  remove(
    name: string,
    filter: WeaviateFilter,
    level: ConsistencyLevel,
  ): Promise<{ readonly matched: number; readonly removed: number }>;
  fetch(name: string, request: FetchRequest): Promise<StoredObject[]>;
  /** Nearest first. */
  near(name: string, request: NearRequest): Promise<StoredObject[]>;
  count(name: string, filter: WeaviateFilter | null, level: ConsistencyLevel): Promise<number>;
  shards(name: string): Promise<ShardOfNode[]>;
  /** Ends its calls; none may follow. */
  close(): Promise<void>;
}

/** A node that takes longer to say that it lives does not. */
const liveMs = 2_000;
const levels: Readonly<Record<ConsistencyLevel, ClientLevel>> = { all: 'ALL', quorum: 'QUORUM', one: 'ONE' };

/** Opens a node; nothing is asked of it yet. FAILED_PRECONDITION where `weaviate-client` is not installed. */
export async function openWeaviateNode(options: WeaviateNodeOptions): Promise<WeaviateNode> {
  const { host, httpPort, grpcPort, tls, apiKey, timeoutMs = 60_000 } = options;
  const address = `${host}:${httpPort}`;
  const { default: weaviate } = await import('weaviate-client').catch((cause: unknown) => {
    throw new KindredError(
      'FAILED_PRECONDITION',
      "the package 'weaviate-client' cannot be loaded; run 'npm run setup'",
      {
        cause,
      },
    );
  });
  const seconds = timeoutMs / 1000;
  const client: WeaviateClient = await weaviate.client({
    connectionParams: {
      http: { host, port: httpPort, secure: tls },
      grpc: { host, port: grpcPort, secure: tls },
    },
    auth: apiKey === null ? undefined : new weaviate.ApiKey(apiKey),
    skipInitChecks: true,
    timeout: { init: seconds, query: seconds, insert: seconds },
  });
  const use = (name: string, level: ConsistencyLevel): Collection =>
    client.collections.use(name).withConsistency(levels[level]);
  const ask = async <T>(collection: string, call: () => Promise<T>): Promise<T> => {
    try {
      // Known from the first answer on. Until then, naming a collection asks for it by itself, and its failure would be nobody's.
      await client.getWeaviateVersion();
      return await call();
    } catch (thrown) {
      throw fromWeaviate(thrown, address, collection);
    }
  };
  const reading = ({ limit, properties, vectors, filter }: ReadRequest) => ({
    limit,
    returnProperties: [...properties],
    includeVector: vectors,
    filters: filter === null ? undefined : toClientFilter(filter),
  });

  return {
    address,
    // Not by the client: what it does after that may fail where nobody catches it.
    isLive: () =>
      fetch(`${tls ? 'https' : 'http'}://${address}/v1/.well-known/live`, { signal: AbortSignal.timeout(liveMs) }).then(
        ({ ok }) => ok,
        () => false,
      ),
    classes: () =>
      ask('', async () =>
        (await client.collections.listAll()).map(({ name, description = '' }) => ({ name, description })),
      ),
    createClass: (schema) =>
      ask(String(schema['class']), async () => void (await client.collections.createFromSchema(schema))),
    setSearchCandidates: (name, ef) =>
      ask(name, () =>
        client.collections.use(name).config.update({
          vectorizers: weaviate.reconfigure.vectors.update({
            vectorIndexConfig: weaviate.reconfigure.vectorIndex.hnsw({ ef }),
          }),
        }),
      ),
    deleteClass: (name) => ask(name, () => client.collections.delete(name)),
    put: (name, objects, level) =>
      ask(name, async () => {
        const { hasErrors, errors } = await use(name, level).data.insertMany(
          objects.map(({ uuid, vector, properties }) => ({
            id: uuid,
            vectors: Array.from(vector),
            properties: properties as Record<string, string | number | string[]>,
          })),
        );
        if (!hasErrors) return;
        const all = Object.values(errors);
        throw new Error(`${all.length} of ${objects.length} objects were not stored; the first: ${all[0]?.message}`);
      }),
    remove: (name, filter, level) =>
      ask(name, async () => {
        const { matches, successful, failed } = await use(name, level).data.deleteMany(toClientFilter(filter));
        if (failed > 0) {
          throw new KindredError(
            'UNAVAILABLE',
            `Weaviate did not delete ${failed} of ${matches} objects on enough replicas`,
            { resource: { type: 'service', name: 'weaviate' }, retryAfterMs: 250 },
          );
        }
        return { matched: matches, removed: successful };
      }),
    fetch: (name, request) =>
      ask(name, async () => {
        const { objects } = await use(name, request.level).query.fetchObjects({
          ...reading(request),
          after: request.after,
          sort: request.sortBy === undefined ? undefined : { sorts: [{ property: request.sortBy, ascending: true }] },
        } as Parameters<Collection['query']['fetchObjects']>[0]);
        return objects.map(toStored);
      }),
    near: (name, request) =>
      ask(name, async () => {
        const { objects } = await use(name, request.level).query.nearVector(Array.from(request.vector), {
          ...reading(request),
          returnMetadata: ['distance'],
        });
        return objects.map(toStored);
      }),
    count: (name, filter, level) =>
      ask(name, async () => {
        const options = filter === null ? undefined : { filters: toClientFilter(filter) };
        return (await use(name, level).aggregate.overAll(options)).totalCount;
      }),
    shards: (name) =>
      ask(name, async () => {
        const nodes = await client.cluster.nodes({ collection: name, output: 'verbose' });
        return nodes.flatMap(({ name: node, status, shards }) =>
          shards === null || shards.length === 0
            ? [{ node, status, shard: '', objects: 0 }]
            : shards.map((shard) => ({ node, status, shard: shard.name, objects: shard.objectCount })),
        );
      }),
    close: async () => {
      await client.close().catch(() => {});
    },
  };
}

function toStored({
  uuid,
  vectors,
  properties,
  metadata,
}: {
  readonly uuid: string;
  readonly vectors: Readonly<Record<string, number[] | number[][]>>;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly metadata?: { readonly distance?: number };
}): StoredObject {
  const vector = vectors['default'] as number[] | undefined;
  return {
    uuid,
    vector: vector === undefined ? null : Float32Array.from(vector),
    properties,
    distance: metadata?.distance ?? Number.NaN,
  };
}
