// Weaviate as a peer: one node on loopback, asked by its own client over gRPC.
import { provisionGo } from '@kindred/setup/go-programs';
import { startWeaviateCluster } from '@kindred/testing/weaviate-cluster';
import { openWeaviateNode } from '@kindred/weaviate';

/** A class of vectors with an HNSW index of the inner product. */
export interface WeaviatePeer {
  /** Empties the class, then stores [n, dimension] vectors under the numbers from 0 on; the answer comes when all are stored and indexed. */
  refill(vectors: Float32Array): Promise<void>;
  /** Candidates of a search from now on. */
  setCandidates(ef: number): Promise<void>;
  /** Numbers of the nearest, nearest first. */
  search(query: Float32Array, k: number): Promise<number[]>;
  close(): Promise<void>;
}

/** What the class is made with. */
export interface WeaviatePeerOptions {
  readonly folder: string;
  readonly dimension: number;
  readonly m: number;
  readonly efConstruction: number;
  readonly say: (line: string) => void;
}

const className = 'Peer';
/** Batches as Weaviate's documentation advises, a few under way at a time. */
const batchObjects = 1_000;
const batchesAtOnce = 4;

/** Starts a node. */
export async function startWeaviatePeer(options: WeaviatePeerOptions): Promise<WeaviatePeer> {
  const { folder, dimension, m, efConstruction, say } = options;
  const program = await provisionGo('weaviate', { progress: say });
  const cluster = await startWeaviateCluster(program, folder, 1);
  const { httpPort, grpcPort } = cluster.nodes[0]!;
  const node = await openWeaviateNode({ host: '127.0.0.1', httpPort, grpcPort, tls: false, apiKey: null });
  const uuid = (row: number): string => `00000000-0000-4000-8000-${row.toString(16).padStart(12, '0')}`;
  return {
    async refill(vectors) {
      await node.deleteClass(className);
      await node.createClass({
        class: className,
        vectorizer: 'none',
        vectorIndexType: 'hnsw',
        vectorIndexConfig: { distance: 'dot', maxConnections: m, efConstruction, skipDefaultQuantization: true },
      });
      const rows = vectors.length / dimension;
      let next = 0;
      const work = async (): Promise<void> => {
        for (let first = next; first < rows; first = next) {
          next += batchObjects;
          const objects = Array.from({ length: Math.min(batchObjects, rows - first) }, (_, i) => ({
            uuid: uuid(first + i),
            vector: vectors.subarray((first + i) * dimension, (first + i + 1) * dimension),
            properties: {},
          }));
          await node.put(className, objects, 'one');
        }
      };
      await Promise.all(Array.from({ length: batchesAtOnce }, work));
    },
    setCandidates: (ef) => node.setSearchCandidates(className, ef),
    async search(vector, k) {
      const found = await node.near(className, {
        vector,
        limit: k,
        properties: [],
        vectors: false,
        filter: null,
        level: 'one',
      });
      return found.map((one) => Number.parseInt(one.uuid.slice(24), 16));
    },
    async close() {
      await node.close();
      await cluster.stop();
    },
  };
}
