// Suites `neighbors-flat` and `neighbors-service`: exact search against faiss's wheel; what the service does with writes, searches and restarts.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NeighborIndexServiceDefinition } from '@kindred/protocol/neighbors';
import { bytesOf, connect } from '@kindred/service-runtime';
import { openBlasCore } from '../blas-core.js';
import { unitVectors } from '../benchmark-data.js';
import { contest } from '../contest.js';
import { flatSearchEntry } from '../entries.js';
import { quantile } from '../grpc-load.js';
import { startOwn } from '../own-process.js';
import { startPeer } from '../peer-process.js';
import { compare, type Row } from '../report.js';
import { alternate, type Round } from '../rounds.js';
import { endServiceProcess, startServiceProcess } from '../service-process.js';
import type { Suite, SuiteContext } from './suite.js';

const dimension = 128;
const rows = 50_000;
const k = 10;
const batch = 100;
/** Batches of a round. */
const steps = 60;
/** Points of a restart. */
const restartRows = 1_000_000;
const clients = 8;
const roundSeconds = 10;
const writesPerSecond = 1_000;

/** The suite. Both sides have vectors and queries in memory. */
export const neighborsFlatSuite: Suite = {
  name: 'neighbors-flat',
  description: `exact search of ${rows} × ${dimension} vectors in batches of ${batch} against faiss's IndexFlatIP`,
  async run({ rounds, python, peers, folder, threads, say }) {
    await mkdir(folder, { recursive: true });
    const all = unitVectors(rows + 20 * batch, dimension);
    const [vectors, queries] = [join(folder, 'vectors.f32'), join(folder, 'queries.f32')];
    await writeFile(vectors, all.subarray(0, rows * dimension));
    await writeFile(queries, all.subarray(rows * dimension));
    const script = join(peers, 'flat_search.py');
    const sizes = ['--dimension', `${dimension}`, '--k', `${k}`, '--batch', `${batch}`, '--threads', `${threads}`];
    const args = ['--vectors', vectors, '--queries', queries, ...sizes];
    const sides = {
      ours: () => startOwn(flatSearchEntry, { vectors, queries, dimension, k, batch }),
      peer: () => startPeer({ python, script, args }),
      namedCore: () => startPeer({ python, script, args, env: { OPENBLAS_CORETYPE: openBlasCore() } }),
    };
    const unit = 'queries/s';
    const { rates, versions } = await contest({ label: 'flat-batch', sides, rounds, steps, unit, say });
    const row = { suite: 'neighbors-flat', unit };
    const wheel = 'faiss-cpu, IndexFlatIP, in process';
    return {
      rows: [
        compare({ ...row, id: 'flat-batch', against: wheel }, rates, 'ours', 'peer'),
        compare(
          { ...row, id: 'flat-batch-named-core', against: `${wheel}, processor named` },
          rates,
          'ours',
          'namedCore',
        ),
      ],
      versions,
    };
  },
};

/** The suite. Each figure is the service's alone; rows against another engine take the same data. */
export const neighborsServiceSuite: Suite = {
  name: 'neighbors-service',
  description: 'durable upserts, HNSW over gRPC, searches beside writes, recall and restarts of neighbor-index',
  async run(context) {
    await mkdir(context.folder, { recursive: true });
    return { rows: await serviceRows(context), versions: {} };
  },
};

async function serviceRows({ folder, peers, rounds, say }: SuiteContext): Promise<Row[]> {
  const bundles = join(peers, '..', '..', '..', 'dist', 'services');
  const environment = {
    KINDRED_ARTIFACT_STORE: join(folder, 'artifacts'),
    KINDRED_NEIGHBOR_INDEX_DATA: join(folder, 'data'),
    KINDRED_NEIGHBOR_INDEX_BUILD_THREADS: '2',
  };
  const start = () => startServiceProcess(bundles, folder, 'neighbor-index', environment);
  let service = await start();
  let { client } = connect(NeighborIndexServiceDefinition, { service: 'neighbor-index', address: service.address });
  const vectors = unitVectors(rows + 1000, dimension);
  const upsert = async (collection: string, first: number, count: number): Promise<void> => {
    await client.upsert(
      (async function* () {
        for (let done = 0; done < count; done += 2000) {
          const ids = BigUint64Array.from({ length: Math.min(2000, count - done) }, (_, i) => BigInt(first + done + i));
          const from = ((first + done) % rows) * dimension;
          yield {
            collection,
            ids: bytesOf(ids),
            vectors: bytesOf(vectors.subarray(from, from + ids.length * dimension)),
          };
        }
      })(),
    );
  };
  const query = (i: number): Uint8Array => {
    const at = (rows + (i % 1000)) * dimension;
    return bytesOf(vectors.subarray(at, at + dimension));
  };
  const row = (id: string, unit: string, figures: readonly number[]): Row => {
    const measured = { ours: figures.map((figure): Round => ({ figure, othersCores: null })) };
    say(`${id}: ${figures.map((figure) => figure.toPrecision(4)).join(', ')} ${unit}`);
    return compare({ id, suite: 'neighbors-service', unit, against: 'no peer yet' }, measured, 'ours', null);
  };

  const upserts = await alternate(
    {
      async ours() {
        await client.deleteCollection({ collection: 'bulk' });
        await client.createCollection({
          collection: 'bulk',
          config: { dimension, index: { $case: 'hnsw', value: {} } },
        });
        const began = performance.now();
        for (let first = 0; first < rows; first += 10_000) await upsert('bulk', first, 10_000);
        return (rows / (performance.now() - began)) * 1000;
      },
    },
    { rounds },
  );
  const results = [
    row(
      'upsert-durable',
      'vectors/s',
      upserts.ours.map(({ figure }) => figure),
    ),
  ];
  await indexed(async () => (await client.getStats({ collection: 'bulk' })).indexedRows >= BigInt(rows), say);

  const answers = async (exact: boolean): Promise<string[]> => {
    const { results: found } = await client.search({
      collection: 'bulk',
      queries: bytesOf(vectors.subarray(rows * dimension)),
      k,
      options: { exact, efSearch: 512 },
    });
    return found.flatMap(({ neighbors }, i) => neighbors.map(({ id }) => `${i} ${id}`));
  };
  const exact = new Set(await answers(true));
  const before = await answers(false);
  results.push(row('recall', 'of exact', [before.filter((one) => exact.has(one)).length / exact.size]));

  const single = async (seconds: number): Promise<number[]> => {
    const latencies: number[] = [];
    const end = performance.now() + seconds * 1000;
    const work = async (caller: number): Promise<void> => {
      for (let i = caller; performance.now() < end; i += clients) {
        const began = performance.now();
        await client.search({ collection: 'bulk', queries: query(i), k });
        latencies.push(performance.now() - began);
      }
    };
    await Promise.all(Array.from({ length: clients }, (_, caller) => work(caller)));
    return latencies.sort((a, b) => a - b);
  };
  const quiet = await single(roundSeconds);
  results.push(row('hnsw-single', 'queries/s', [quiet.length / roundSeconds]));
  let writing = true;
  const writes = (async () => {
    for (let second = 0; writing; second++) {
      const began = performance.now();
      for (let i = 0; i < 10 && writing; i++)
        await upsert('bulk', rows + second * writesPerSecond + i * 100, writesPerSecond / 10);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, 1000 - (performance.now() - began))));
    }
  })();
  const busy = await single(roundSeconds);
  writing = false;
  await writes;
  results.push(row('search-under-writes', 'p99 over p99 without', [quantile(busy, 0.99) / quantile(quiet, 0.99)]));

  await client.createCollection({ collection: 'large', config: { dimension } });
  for (let first = 0; first < restartRows; first += rows) await upsert('large', first, rows);
  await endServiceProcess(service);
  const began = performance.now();
  service = await start();
  results.push(row('restart', 's', [(performance.now() - began) / 1000]));
  ({ client } = connect(NeighborIndexServiceDefinition, { service: 'neighbor-index', address: service.address }));
  await endServiceProcess(service);
  return results;
}

async function indexed(done: () => Promise<boolean>, say: (line: string) => void): Promise<void> {
  say('waiting until all vectors are indexed');
  while (!(await done())) await new Promise((resolve) => setTimeout(resolve, 500));
}
