// A neighbor-index of its own for a suite: started, filled and asked as an application does it, over gRPC.
import { join } from 'node:path';
import { NeighborIndexServiceDefinition, type CollectionConfig } from '@kindred/protocol/neighbors';
import { bytesOf, connect, type Connection } from '@kindred/service-runtime';
import { endServiceProcess, startServiceProcess, type ServiceProcess } from './service-process.js';

/** A service with its client. */
export interface NeighborService {
  readonly client: Connection<typeof NeighborIndexServiceDefinition>['client'];
  /** Another connection, as another application has it. */
  connect(): Connection<typeof NeighborIndexServiceDefinition>;
  /** Ends it and starts it again on the same data; the time until it was ready, in seconds. */
  restart(): Promise<{ readonly service: NeighborService; readonly seconds: number }>;
  stop(): Promise<void>;
}

/** Where a service's bundle and data are. */
export interface NeighborServiceOptions {
  /** Folder of the peers' programs, from which the bundles are found. */
  readonly peers: string;
  readonly folder: string;
}

/** Starts the service on `folder`; ready when this has ended. Indexes are built on both cores. */
export async function startNeighborService(options: NeighborServiceOptions): Promise<NeighborService> {
  const { peers, folder } = options;
  const bundles = join(peers, '..', '..', '..', 'dist', 'services');
  const service: ServiceProcess = await startServiceProcess(bundles, folder, 'neighbor-index', {
    KINDRED_ARTIFACT_STORE: join(folder, 'artifacts'),
    KINDRED_NEIGHBOR_INDEX_DATA: join(folder, 'data'),
    KINDRED_NEIGHBOR_INDEX_BUILD_THREADS: '2',
  });
  const open = () => connect(NeighborIndexServiceDefinition, { service: 'neighbor-index', address: service.address });
  const connection = open();
  const stop = async (): Promise<void> => {
    connection.close();
    await endServiceProcess(service);
  };
  return {
    client: connection.client,
    connect: open,
    stop,
    async restart() {
      await stop();
      const began = performance.now();
      const again = await startNeighborService(options);
      return { service: again, seconds: (performance.now() - began) / 1000 };
    },
  };
}

/** Points a message of an Upsert stream. */
const pointsPerMessage = 2000;

/** What is stored. */
export interface Filling {
  readonly collection: string;
  /** [n, dimension] */
  readonly vectors: Float32Array;
  readonly dimension: number;
  /** Id of the first vector; the others follow it. @default 0 */
  readonly firstId?: number;
}

/** Stores vectors in one stream. */
export async function fill(client: NeighborService['client'], filling: Filling): Promise<void> {
  const { collection, vectors, dimension, firstId = 0 } = filling;
  await client.upsert(
    (async function* () {
      const count = vectors.length / dimension;
      for (let done = 0; done < count; done += pointsPerMessage) {
        const size = Math.min(pointsPerMessage, count - done);
        const ids = BigUint64Array.from({ length: size }, (_, i) => BigInt(firstId + done + i));
        const part = vectors.subarray(done * dimension, (done + size) * dimension);
        yield { collection, ids: bytesOf(ids), vectors: bytesOf(part) };
      }
    })(),
  );
}

/** Makes a collection, in the place of one of that name. */
export async function remake(
  client: NeighborService['client'],
  collection: string,
  dimension: number,
  index: CollectionConfig['index'],
): Promise<void> {
  await client.deleteCollection({ collection });
  await client.createCollection({ collection, config: { dimension, index } });
}

/** Waits until every row has an index. */
export async function indexed(client: NeighborService['client'], collection: string, rows: number): Promise<void> {
  for (;;) {
    const { indexedRows, optimizing } = await client.getStats({ collection });
    if (indexedRows >= BigInt(rows) && !optimizing) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Answers of some queries as texts `<query> <id>`, in their order. */
export async function answersOf(
  client: NeighborService['client'],
  request: { readonly collection: string; readonly queries: Float32Array; readonly k: number },
  options: { readonly exact?: boolean; readonly efSearch?: number; readonly probes?: number },
): Promise<string[]> {
  const { collection, queries, k } = request;
  const { results } = await client.search({ collection, queries: bytesOf(queries), k, options });
  return results.flatMap(({ neighbors }, query) => neighbors.map(({ id }) => `${query} ${id}`));
}

/** The part of `right` that is in `found`. */
export function recallOf(found: readonly string[], right: readonly string[]): number {
  const wanted = new Set(right);
  return found.filter((one) => wanted.has(one)).length / wanted.size;
}
