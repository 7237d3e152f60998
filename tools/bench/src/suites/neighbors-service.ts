// Suite `neighbors-service`: durable upserts, recall, searches over gRPC, alone and beside writes.
import { mkdir } from 'node:fs/promises';
import { bytesOf } from '@kindred/service-runtime';
import { unitVectors } from '../benchmark-data.js';
import { quantile } from '../grpc-load.js';
import {
  answersOf,
  fill,
  indexed,
  recallOf,
  remake,
  startNeighborService,
  type NeighborService,
} from '../neighbor-service.js';
import { compare, type Row } from '../report.js';
import { alternate, type Rates } from '../rounds.js';
import type { Suite, SuiteContext } from './suite.js';

const suite = 'neighbors-service';
const dimension = 128;
const rows = 50_000;
const queryCount = 1_000;
const k = 10;
/** Recall from which a graph's speed counts. */
const wantedRecall = 0.98;
/** Candidates that are tried, least first. */
const efSteps = [64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096];
/** Vectors of one Upsert stream. */
const streamRows = 10_000;
const clients = 8;
const roundSeconds = 5;
const writesPerSecond = 1_000;
/** Upserts a second into which the writes are divided. */
const writesInSecond = 10;

/** The suite. Each figure is the service's alone; `neighbors-weaviate` compares with another engine. */
export const neighborsServiceSuite: Suite = {
  name: suite,
  description: 'durable upserts, HNSW over gRPC at recall@10 of 0.98, searches beside writes, recall of neighbor-index',
  async run(context) {
    await mkdir(context.folder, { recursive: true });
    const vectors = unitVectors(rows + queryCount, dimension);
    const stored = vectors.subarray(0, rows * dimension);
    const queries = vectors.subarray(rows * dimension);
    const service = await startNeighborService(context);
    let last = service;
    try {
      const upserts = await upsertRow(service, stored, context);
      const { efSearch, results, reference, service: restarted } = await recalls(service, stored, queries, context);
      last = restarted;
      const searches = await searchRows(restarted, { queries, stored, efSearch }, context);
      say(context, `${reference} answers were compared before and after the restart`);
      return { rows: [upserts, ...results, ...searches], versions: {} };
    } finally {
      await last.stop();
    }
  },
};

async function upsertRow({ client }: NeighborService, stored: Float32Array, context: SuiteContext): Promise<Row> {
  const ours = async (): Promise<number> => {
    await remake(client, 'bulk', dimension, { $case: 'hnsw', value: { m: 0, efConstruction: 0, efSearch: 0 } });
    const began = performance.now();
    for (let first = 0; first < rows; first += streamRows) {
      const vectors = stored.subarray(first * dimension, (first + streamRows) * dimension);
      await fill(client, { collection: 'bulk', vectors, dimension, firstId: first });
    }
    return (rows / (performance.now() - began)) * 1000;
  };
  const rates = await alternate({ ours }, { rounds: context.rounds });
  return rowOf('upsert-alone', 'vectors/s', rates, context);
}

/** Recall of the graph and of compressed cells; the graph's answers before and after a restart. */
async function recalls(
  service: NeighborService,
  stored: Float32Array,
  queries: Float32Array,
  context: SuiteContext,
): Promise<{ efSearch: number; results: Row[]; reference: number; service: NeighborService }> {
  const { client } = service;
  await remake(client, 'cells', dimension, {
    $case: 'ivfPq',
    value: { lists: 0, probes: 0, subvectors: 0, refine: 0 },
  });
  await fill(client, { collection: 'cells', vectors: stored, dimension });
  say(context, 'waiting until all vectors are indexed');
  for (const collection of ['bulk', 'cells']) await indexed(client, collection, rows);
  const ask = { queries, k };
  const right = await answersOf(client, { collection: 'bulk', ...ask }, { exact: true });
  let efSearch = efSteps[0]!;
  let before: string[] = [];
  for (efSearch of efSteps) {
    before = await answersOf(client, { collection: 'bulk', ...ask }, { efSearch });
    const recall = recallOf(before, right);
    say(context, `ef_search ${efSearch}: recall@${k} ${recall.toFixed(4)}`);
    if (recall >= wantedRecall) break;
  }
  const results = [rowOf('recall', 'of exact', once(recallOf(before, right)), context, `HNSW, ef_search ${efSearch}`)];
  const cells: string[][] = [];
  for (const probes of [0, 64, 256]) {
    const found = await answersOf(client, { collection: 'cells', ...ask }, { probes });
    const what = `IVF-PQ, ${probes === 0 ? 'probes by default' : `${probes} probes`}`;
    const id = `recall-ivf-pq${probes === 0 ? '' : `-${probes}`}`;
    results.push(rowOf(id, 'of exact', once(recallOf(found, right)), context, what));
    cells.push(found);
  }
  const { service: restarted } = await service.restart();
  const same = [
    ...agreement(before, await answersOf(restarted.client, { collection: 'bulk', ...ask }, { efSearch })),
    ...agreement(cells[0]!, await answersOf(restarted.client, { collection: 'cells', ...ask }, {})),
  ];
  const share = same.filter(Boolean).length / same.length;
  results.push(rowOf('recall-restart', 'of answers', once(share), context, 'the answers before the restart'));
  return { efSearch, results, reference: same.length, service: restarted };
}

/** Single queries of eight clients, then the same while others write. */
async function searchRows(
  service: NeighborService,
  { queries, stored, efSearch }: { queries: Float32Array; stored: Float32Array; efSearch: number },
  context: SuiteContext,
): Promise<Row[]> {
  const load = (): Promise<number[]> => searchFor(service, roundSeconds, { queries, efSearch });
  await load();
  const rates: number[] = [];
  const ratios: number[] = [];
  const writer = service.connect();
  try {
    for (let round = 0; round < context.rounds; round++) {
      const quiet = await load();
      rates.push(quiet.length / roundSeconds);
      const end = new AbortController();
      const writing = writeSteadily(writer.client, stored, rows + round * rows, end.signal);
      const busy = await load();
      end.abort();
      const written = await writing;
      const [p99, p99Quiet] = [quantile(busy, 0.99), quantile(quiet, 0.99)];
      ratios.push(p99 / p99Quiet);
      say(context, `p99 ${p99Quiet.toFixed(1)} ms; ${p99.toFixed(1)} ms beside ${Math.round(written)} upserts/s`);
    }
  } finally {
    writer.close();
  }
  return [
    rowOf('hnsw-alone', 'queries/s', each(rates), context, `no peer; ef_search ${efSearch}`),
    rowOf('search-under-writes', 'p99 over p99', each(ratios), context, `without ${writesPerSecond} upserts/s`),
  ];
}

/** Latencies of all searches in `seconds`, in milliseconds, rising. */
async function searchFor(
  service: NeighborService,
  seconds: number,
  { queries, efSearch }: { queries: Float32Array; efSearch: number },
): Promise<number[]> {
  const latencies: number[] = [];
  const end = performance.now() + seconds * 1000;
  const work = async (caller: number): Promise<void> => {
    const { client, close } = service.connect();
    try {
      for (let i = caller; performance.now() < end; i = (i + clients) % queryCount) {
        const began = performance.now();
        const query = bytesOf(queries.subarray(i * dimension, (i + 1) * dimension));
        await client.search({ collection: 'bulk', queries: query, k, options: { efSearch } });
        latencies.push(performance.now() - began);
      }
    } finally {
      close();
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, caller) => work(caller)));
  return latencies.sort((a, b) => a - b);
}

/** Stores new points at {@link writesPerSecond} until `signal`; how many a second they were. */
async function writeSteadily(
  client: NeighborService['client'],
  stored: Float32Array,
  firstId: number,
  signal: AbortSignal,
): Promise<number> {
  const began = performance.now();
  const size = writesPerSecond / writesInSecond;
  let written = 0;
  while (!signal.aborted) {
    const from = (written % rows) * dimension;
    const vectors = stored.subarray(from, from + size * dimension);
    await fill(client, { collection: 'bulk', vectors, dimension, firstId: firstId + written });
    written += size;
    const due = began + (written / writesPerSecond) * 1000;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
  }
  return (written / (performance.now() - began)) * 1000;
}

function agreement(before: readonly string[], after: readonly string[]): boolean[] {
  return Array.from({ length: Math.max(before.length, after.length) }, (_, i) => before[i] === after[i]);
}

function once(figure: number): Rates<'ours'> {
  return each([figure]);
}

function each(figures: readonly number[]): Rates<'ours'> {
  return { ours: figures.map((figure) => ({ figure, othersCores: null })) };
}

function rowOf(id: string, unit: string, rates: Rates<'ours'>, context: SuiteContext, against = 'no peer'): Row {
  say(context, `${id}: ${rates.ours.map(({ figure }) => figure.toPrecision(4)).join(', ')} ${unit}`);
  return compare({ id, suite, unit, against }, rates, 'ours', null);
}

function say({ say: tell }: SuiteContext, line: string): void {
  tell(line);
}
