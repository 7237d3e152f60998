// Collections that Weaviate keeps: three nodes on loopback, replication 3. The conformance suite, one node killed in the middle, migration.
import { join } from 'node:path';
import { Engine } from '@kindred/protocol/neighbors';
import { HealthDefinition, bytesOf, connect, createLogger } from '@kindred/service-runtime';
import { goProgram, startWeaviateCluster, temporaryFolder, type WeaviateTestCluster } from '@kindred/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startKindred } from './kindred-command.js';
import { defineNeighborConformance } from './neighbor-conformance.js';
import {
  connectNeighbors,
  numbers,
  part,
  range,
  scrollIds,
  stream,
  wholeVectors,
  type NeighborClient,
} from './neighbor-requests.js';
import { startRestartedService, type RestartedService } from './restarted-service.js';

const folder = temporaryFolder('neighbors-cluster');
const artifacts = join(folder, 'artifacts');
const say = createLogger('acceptance');
const binary = await goProgram('weaviate');
const config = { engine: Engine.WEAVIATE, weaviate: { replicas: 3, shards: 2 } };
const hnsw = { $case: 'hnsw' as const, value: { m: 16, efConstruction: 100, efSearch: 100 } };

let cluster: WeaviateTestCluster;
let service: RestartedService;
let connection: ReturnType<typeof connectNeighbors>;

const startService = (name: string, nodes: string): Promise<RestartedService> =>
  startRestartedService('neighbor-index', {
    KINDRED_ARTIFACT_STORE: artifacts,
    KINDRED_NEIGHBOR_INDEX_DATA: join(folder, name),
    KINDRED_NEIGHBOR_INDEX_WEAVIATE_NODES: nodes,
  });

describe.skipIf(binary === null)('three nodes of Weaviate', () => {
  beforeAll(async () => {
    const began = performance.now();
    cluster = await startWeaviateCluster(binary ?? '', join(folder, 'weaviate'), 3, {
      // By default what a node missed is looked for every 30 s.
      ASYNC_REPLICATION_FREQUENCY: '1s',
      ASYNC_REPLICATION_ALIVE_NODES_CHECKING_FREQUENCY: '1s',
    });
    say.info({ seconds: (performance.now() - began) / 1000 }, 'cluster is ready');
    service = await startService('data', cluster.addresses);
    connection = connectNeighbors(service.address);
  });
  afterAll(async () => {
    connection?.close();
    await service?.stop();
    await cluster?.stop();
  });
  const client = (): NeighborClient => connection.client;

  defineNeighborConformance({ name: 'Weaviate', config, artifacts, client });

  it('refuses what Weaviate cannot do, and says what to do', async () => {
    await client().createCollection({ collection: 'limits', config: { ...config, dimension: 2, index: hnsw } });
    const search = (efSearch: number) =>
      client().search({ collection: 'limits', query: [1, 1], k: 1, options: { efSearch } });
    await expect(search(50)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await expect(search(100)).resolves.toMatchObject({ results: [{ neighbors: [] }] });
    await expect(client().snapshot({ collection: 'limits' })).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
    const ivf = { $case: 'ivfFlat' as const, value: {} };
    await expect(
      client().createCollection({ collection: 'ivf', config: { ...config, dimension: 2, index: ivf } }),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const payloads = [JSON.stringify({ many: range(2000) })];
    await expect(
      client().upsert(stream({ ...part('limits', [1, 2], Float32Array.of(1, 1, 2, 2)), payloads: ['', ...payloads] })),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', violations: [{ field: 'payloads' }] });
    expect((await client().count({ collection: 'limits' })).count).toBe(0n);
    const { nodes, size } = await client().getStats({ collection: 'c-ids' });
    expect(size).toBe(15n);
    expect(nodes.filter((line) => line.includes('HEALTHY')).length).toBe(6);
    const health = connect(HealthDefinition, { service: 'neighbor-index', address: service.address });
    expect((await health.client.check({ service: 'collections/c-ids' })).status).toBe(1);
    health.close();
  });

  it('gives a name to another collection as soon as the first is deleted', async () => {
    for (let turn = 1; turn <= 5; turn++) {
      await client().createCollection({ collection: 'again', config: { ...config, dimension: turn, index: hnsw } });
      await client().upsert(stream(part('again', range(turn), wholeVectors(turn, turn, turn))));
      expect((await client().count({ collection: 'again' })).count).toBe(BigInt(turn));
      await client().deleteCollection({ collection: 'again' });
      await expect(client().count({ collection: 'again' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
  });

  it('migrates a collection there and back, through a kill of the command', { timeout: 300_000 }, async () => {
    const [count, dimension] = [9_000, 32];
    const vectors = wholeVectors(count, dimension, 21);
    const payloads = range(count).map((i) => (i % 3 === 0 ? JSON.stringify({ i }) : ''));
    await client().createCollection({ collection: 'moving', config: { dimension, index: hnsw } });
    await client().upsert(
      stream(
        {
          ...part(
            'moving',
            range(count),
            vectors,
            Int32Array.from(range(count), (i) => (i % 4) - 1),
          ),
          payloads,
        },
        { texts: ['a', 'b '], vectors: bytesOf(wholeVectors(2, dimension, 22)) },
      ),
    );
    for (const name of ['DATA_AUGMENTATION', 'TRAINER', 'EMBEDDING', 'NEIGHBOR_INDEX'])
      process.env[`KINDRED_${name}_ADDR`] = service.address;
    const data = join(folder, 'command');
    const words = ['index', 'migrate', 'moving', '--to', 'weaviate', '--alias', 'served'];
    const first = startKindred(data, words);
    await first.line(({ event, copied }) => event === 'migration' && Number(copied) >= 2000);
    first.child.kill('SIGKILL');
    await first.exit;
    await expect(client().count({ collection: 'served' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const second = startKindred(data, words);
    expect(await second.exit, second.words()).toBe(0);
    const summary = second.lines.at(-1);
    expect(summary).toMatchObject({ event: 'summary', size: count + 2, repaired: 0, target: 'moving-weaviate' });
    expect(Number(summary?.['resumed'])).toBeGreaterThanOrEqual(2000);
    expect((await client().getCollection({ collection: 'served' })).collection?.collection).toBe('moving-weaviate');
    expect(await contents('served')).toEqual(await contents('moving'));

    // What came and went after the copy is set right by doing it again.
    await client().delete({ collection: 'moving-weaviate', ids: numbers([5, 6]) });
    await client().upsert(stream(part('moving-weaviate', [1_000_000], wholeVectors(1, dimension, 23))));
    const third = startKindred(data, ['index', 'migrate', 'moving-weaviate', '--to', 'moving']);
    expect(await third.exit, third.words()).toBe(0);
    expect(third.lines.at(-1)).toMatchObject({ repaired: 2 });
    expect(await contents('moving')).toEqual(await contents('served'));
  });

  it('loses no acknowledged write and goes on searching when a node is killed', { timeout: 300_000 }, async () => {
    const collection = 'kill';
    const dimension = 8;
    await client().createCollection({ collection, config: { ...config, dimension, index: hnsw } });
    const model = new Map<number, number>();
    const doubtful = new Set<number>();
    const vectorsOf = (ids: readonly number[], version: number): Float32Array =>
      Float32Array.from(ids.flatMap((id) => range(dimension).map((i) => ((id * 7 + i * 13 + version) % 200) - 100)));
    let [writes, searches, slowestMs, slowestWriteMs] = [0, 0, 0, 0];
    let stop = false;
    const write = async (): Promise<void> => {
      const version = writes++;
      const began = performance.now();
      const ids = range(20).map((i) => (version * 11 + i) % 1500);
      const gone = range(3).map((i) => (version * 17 + i * 5) % 1500);
      try {
        const vectors = vectorsOf(ids, version);
        await client().upsert(stream(part(collection, ids, vectors, new Int32Array(20).fill(version))));
        for (const id of ids) model.set(id, version);
        await client().delete({ collection, ids: numbers(gone) });
        for (const id of gone) model.delete(id);
        slowestWriteMs = Math.max(slowestWriteMs, performance.now() - began);
      } catch (thrown) {
        for (const id of [...ids, ...gone]) doubtful.add(id);
        throw thrown;
      }
    };
    const search = async (): Promise<void> => {
      while (!stop) {
        const began = performance.now();
        const queries = bytesOf(vectorsOf([searches], 3));
        const { results } = await client().search({ collection, queries, k: 5 });
        expect(results[0]!.neighbors.length).toBe(5);
        slowestMs = Math.max(slowestMs, performance.now() - began);
        searches++;
      }
    };
    for (let i = 0; i < 10; i++) await write();
    const searching = Promise.all([search(), search()]);
    // Whatever ends it is thrown where it is awaited.
    searching.catch(() => {});
    // The node that the service talks to.
    const before = searches;
    const writing = (async () => {
      for (let i = 0; i < 60; i++) await write();
    })();
    await expect.poll(() => writes, { timeout: 60_000, interval: 20 }).toBeGreaterThan(20);
    await cluster.kill(0);
    const [atKill, searchesAtKill] = [writes, searches];
    await writing;
    stop = true;
    await searching;
    say.info({ atKill, writes, searches, slowestMs, slowestWriteMs, doubtful: doubtful.size }, 'a node was killed');
    expect(searchesAtKill).toBeGreaterThan(before);
    expect(searches).toBeGreaterThan(searchesAtKill + 10);
    expect(doubtful.size).toBe(0);
    await compare(client(), collection, model);

    await cluster.restart(0);
    for (let i = 0; i < 10; i++) await write();
    await compare(client(), collection, model);
    // The node that was away, asked alone: its own copy has, after a while, what it missed.
    const alone = await startService('alone', cluster.addresses.split(',')[0]!);
    const other = connectNeighbors(alone.address);
    try {
      const began = performance.now();
      await expect
        .poll(() => compare(other.client, collection, model).then(() => 'same', String), {
          timeout: 120_000,
          interval: 500,
        })
        .toBe('same');
      say.info({ seconds: (performance.now() - began) / 1000 }, 'the node has what it missed');
    } finally {
      other.close();
      await alone.stop();
    }
  });

  const contents = async (collection: string) => {
    const { points } = await client().scroll({
      collection,
      limit: 10_000,
      includeVectors: true,
      includePayloads: true,
    });
    return points.map(({ id, label, payload, vector }) => [
      id?.id?.value,
      label,
      payload,
      Buffer.from(vector).toString('base64'),
    ]);
  };
});

/** Every point of the model is there in its last version, and no other. */
async function compare(client: NeighborClient, collection: string, model: ReadonlyMap<number, number>): Promise<void> {
  const { points } = await client.scroll({ collection, limit: 10_000 });
  const found = new Map(points.map(({ id, label }) => [Number(id?.id?.value), label]));
  const all = [...new Set([...model.keys(), ...found.keys()])].sort((a, b) => a - b);
  // What differs, as id, what is expected, what is there.
  const other = all.map((id) => [id, model.get(id), found.get(id)]).filter(([, expected, there]) => expected !== there);
  expect(other).toEqual([]);
  expect((await client.count({ collection })).count).toBe(BigInt(model.size));
  expect((await scrollIds(client, { collection, limit: 1000 })).length).toBe(model.size);
}
