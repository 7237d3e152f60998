// Suite `neighbors-weaviate`: durable bulk upserts and single searches over gRPC, against Weaviate on the same data at the same recall.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { KindredError } from '@kindred/errors';
import { NeighborIndexServiceDefinition } from '@kindred/protocol/neighbors';
import { bytesOf, connect } from '@kindred/service-runtime';
import { unitVectors } from '../benchmark-data.js';
import { compare, type Row } from '../report.js';
import { alternate, type Round } from '../rounds.js';
import { endServiceProcess, startServiceProcess } from '../service-process.js';
import { startWeaviatePeer } from '../weaviate-peer.js';
import type { Suite, SuiteContext } from './suite.js';

const dimension = 128;
const rows = 50_000;
const k = 10;
const clients = 8;
const roundSeconds = 10;
/** Of both sides' graphs. */
const graph = { m: 16, efConstruction: 200 } as const;
const leastRecall = 0.98;
const recallQueries = 500;
/** Candidates that are tried, until one reaches the recall. */
const candidates = [64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048];
const perStream = 10_000;
const perMessage = 2_000;

/** The suite. Weaviate writes to its log without fsync, ours syncs; its graph is built before it answers, ours after. */
export const neighborsWeaviateSuite: Suite = {
  name: 'neighbors-weaviate',
  description: `durable upserts and single HNSW searches of ${rows} × ${dimension} from ${clients} clients, against Weaviate`,
  async run(context) {
    await mkdir(context.folder, { recursive: true });
    const peer = await startWeaviatePeer({
      folder: join(context.folder, 'weaviate'),
      dimension,
      ...graph,
      say: context.say,
    });
    try {
      return { rows: await measure(context, peer), versions: { weaviate: '1.35.2' } };
    } finally {
      await peer.close();
    }
  },
};

interface Searcher {
  search(query: Float32Array): Promise<number[]>;
}

async function measure(
  { folder, peers, rounds, say }: SuiteContext,
  peer: Awaited<ReturnType<typeof startWeaviatePeer>>,
): Promise<Row[]> {
  const bundles = join(peers, '..', '..', '..', 'dist', 'services');
  const service = await startServiceProcess(bundles, folder, 'neighbor-index', {
    KINDRED_ARTIFACT_STORE: join(folder, 'artifacts'),
    KINDRED_NEIGHBOR_INDEX_DATA: join(folder, 'data'),
    KINDRED_NEIGHBOR_INDEX_BUILD_THREADS: '2',
  });
  const connection = connect(NeighborIndexServiceDefinition, { service: 'neighbor-index', address: service.address });
  const { client } = connection;
  const collection = 'bulk';
  const all = unitVectors(rows + 1000, dimension);
  const vectors = all.subarray(0, rows * dimension);
  const query = (i: number): Float32Array => {
    const at = (rows + (i % 1000)) * dimension;
    return all.subarray(at, at + dimension);
  };
  const messages = function* (first: number) {
    for (let at = first; at < first + perStream; at += perMessage) {
      const ids = BigUint64Array.from({ length: perMessage }, (_, i) => BigInt(at + i));
      yield {
        collection,
        ids: bytesOf(ids),
        vectors: bytesOf(vectors.subarray(at * dimension, (at + perMessage) * dimension)),
      };
    }
  };
  const ours = {
    async refill() {
      await client.deleteCollection({ collection });
      await client.createCollection({
        collection,
        config: { dimension, index: { $case: 'hnsw', value: { ...graph } } },
      });
      const began = performance.now();
      for (let first = 0; first < rows; first += perStream) {
        await client.upsert(
          (async function* () {
            yield* messages(first);
          })(),
        );
      }
      return (rows / (performance.now() - began)) * 1000;
    },
    searcher: (efSearch: number, exact = false): Searcher => ({
      async search(vector) {
        const { results } = await client.search({
          collection,
          queries: bytesOf(vector),
          k,
          options: { efSearch, exact },
        });
        return results[0]!.neighbors.map(({ id }) => Number(id));
      },
    }),
  };
  const theirs = {
    async refill() {
      const began = performance.now();
      await peer.refill(vectors);
      return (rows / (performance.now() - began)) * 1000;
    },
    searcher: { search: (vector: Float32Array) => peer.search(vector, k) } as Searcher,
  };
  const row = (id: string, unit: string, rates: Readonly<Record<'ours' | 'peer', readonly Round[]>>, against: string) =>
    compare({ id, suite: 'neighbors-weaviate', unit, against }, rates, 'ours', 'peer');
  const told =
    (id: string, unit: string) =>
    (side: string, round: number, { figure }: Round) =>
      say(`${id}: round ${round + 1}, ${side} ${figure.toFixed(0)} ${unit}`);

  try {
    const upserts = await alternate(
      { ours: () => ours.refill(), peer: () => theirs.refill() },
      { rounds, onRound: told('upsert-durable', 'vectors/s') },
    );
    say('waiting until all vectors are indexed');
    while ((await client.getStats({ collection })).indexedRows < BigInt(rows))
      await new Promise((resolve) => setTimeout(resolve, 500));

    const exact = await answersOf(ours.searcher(0, true), query);
    let ownCandidates = 0;
    const own = await firstOf('ours', say, async (ef) => {
      ownCandidates = ef;
      return recall(await answersOf(ours.searcher(ef), query), exact);
    });
    const other = await firstOf('Weaviate', say, async (ef) => {
      await peer.setCandidates(ef);
      return recall(await answersOf(theirs.searcher, query), exact);
    });
    const searches = await alternate(
      { ours: () => load(ours.searcher(ownCandidates), query), peer: () => load(theirs.searcher, query) },
      { rounds, onRound: told('hnsw-single', 'queries/s') },
    );
    return [
      row('upsert-durable', 'vectors/s', upserts, 'Weaviate, batches of 1000, 4 at a time'),
      row(
        'hnsw-single',
        'queries/s',
        searches,
        `Weaviate over gRPC, ef ${other}, ours ${own}, recall ≥ ${leastRecall}`,
      ),
    ];
  } finally {
    connection.close();
    await endServiceProcess(service);
  }
}

/** Searches a second, from `clients` callers that each wait for their answer. */
async function load(side: Searcher, query: (i: number) => Float32Array): Promise<number> {
  const began = performance.now();
  const end = began + roundSeconds * 1000;
  let done = 0;
  const work = async (caller: number): Promise<void> => {
    for (let i = caller; performance.now() < end; i += clients) {
      await side.search(query(i));
      done++;
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, caller) => work(caller)));
  return (done / (performance.now() - began)) * 1000;
}

async function answersOf(side: Searcher, query: (i: number) => Float32Array): Promise<number[][]> {
  const answers: number[][] = [];
  for (let i = 0; i < recallQueries; i++) answers.push(await side.search(query(i)));
  return answers;
}

function recall(answers: readonly number[][], exact: readonly number[][]): number {
  const right = answers.reduce((sum, found, i) => sum + found.filter((id) => exact[i]!.includes(id)).length, 0);
  return right / (exact.length * k);
}

/** The smallest number of candidates that reaches the recall. */
async function firstOf(
  side: string,
  say: (line: string) => void,
  recallOf: (ef: number) => Promise<number>,
): Promise<number> {
  for (const ef of candidates) {
    const reached = await recallOf(ef);
    say(`${side}: recall@${k} ${reached.toFixed(4)} with ${ef} candidates`);
    if (reached >= leastRecall) return ef;
  }
  throw new KindredError(
    'FAILED_PRECONDITION',
    `${side} does not reach a recall of ${leastRecall} with ${candidates.at(-1)} candidates`,
  );
}
