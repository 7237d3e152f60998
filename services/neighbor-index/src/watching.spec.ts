// What a service tells of its collections: health by name, metrics at each scrape.
import { HealthDefinition, bytesOf, connect } from '@kindred/service-runtime';
import { temporaryFolder } from '@kindred/testing';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { part, range, startNeighborIndex, stream, wholeVectors } from './spec/start-neighbor-index.js';

type Server = Awaited<ReturnType<typeof startNeighborIndex>>;

async function metricsOf({ metricsAddress }: Server): Promise<Map<string, number>> {
  const text = await (await fetch(`http://${metricsAddress}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith('kindred_neighbor_index_'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

async function healthOf({ address }: Server, name: string): Promise<unknown> {
  const { client, close } = connect(HealthDefinition, { service: 'neighbor-index', address });
  try {
    return (await client.check({ service: name })).status;
  } catch (thrown) {
    return (thrown as { code?: unknown }).code;
  } finally {
    close();
  }
}

it('tells points, bytes, searches, syncs, checkpoints and merges, and forgets a collection that is deleted', async () => {
  const server = await startNeighborIndex(temporaryFolder('metrics'), { maintenance: { growingRows: 50, restMs: 10 } });
  const { client } = server;
  const config = { dimension: 4, index: { $case: 'hnsw' as const, value: {} } };
  await client.createCollection({ collection: 'cats', config });
  const before = await metricsOf(server);
  await client.upsert(stream(part('cats', range(2500), wholeVectors(2500, 4, 1))));
  await client.search({ collection: 'cats', queries: bytesOf(wholeVectors(3, 4, 2)), k: 2 });
  await expect
    .poll(async () => (await client.getStats({ collection: 'cats' })).indexedRows, { timeout: 30_000 })
    .toBe(2500n);
  const name = (metric: string, labels = '{collection="cats"}') => `kindred_neighbor_index_${metric}${labels}`;
  // Merges go on in the background: figures and what is asked for after them agree once they rest.
  const after = await vi.waitFor(
    async () => {
      const after = await metricsOf(server);
      const { memoryBytes, diskBytes, logBytes } = await client.getStats({ collection: 'cats' });
      expect(after.get(name('points'))).toBe(2500);
      expect(after.get(name('collections', ''))).toBe(1);
      expect(Math.round(after.get(name('memory_bytes'))!)).toBe(Number(memoryBytes));
      expect(after.get(name('disk_bytes'))).toBe(Number(diskBytes));
      expect(after.get(name('log_bytes'))).toBe(Number(logBytes));
      expect(after.get(name('search_seconds_count', '{collection="cats",kind="hnsw"}'))).toBe(1);
      const grown = (metric: string, labels = ''): number =>
        (after.get(name(metric, labels)) ?? 0) - (before.get(name(metric, labels)) ?? 0);
      expect(grown('log_sync_seconds_count')).toBeGreaterThan(0);
      expect(grown('checkpoints_total', '{result="done"}')).toBeGreaterThan(0);
      expect(grown('merges_total', '{result="done"}')).toBeGreaterThan(0);
      return after;
    },
    { timeout: 30_000, interval: 100 },
  );
  await expect(client.upsert(stream(part('cats', range(20_001), wholeVectors(20_001, 4, 1))))).rejects.toMatchObject({
    code: 'RESOURCE_EXHAUSTED',
  });
  const refused = name('refused_total', '{quota="vectors"}');
  expect((await metricsOf(server)).get(refused)).toBe((after.get(refused) ?? 0) + 1);
  await client.deleteCollection({ collection: 'cats' });
  const left = await metricsOf(server);
  expect([...left.keys()].filter((key) => key.includes('"cats"'))).toEqual([]);
  expect(left.get(name('collections', ''))).toBe(0);
  await server.close();
});

it('tells health by collection: serving, damaged, gone', async () => {
  const folder = temporaryFolder('health');
  let server = await startNeighborIndex(folder);
  for (const collection of ['good', 'bad']) {
    await server.client.createCollection({ collection, config: { dimension: 4 } });
    await server.client.upsert(stream(part(collection, range(10), wholeVectors(10, 4, 1))));
    expect(await healthOf(server, `collections/${collection}`)).toBe(1);
  }
  await server.close();
  const log = join(server.dataFolder, 'collections', 'bad', 'log');
  const file = join(
    log,
    readdirSync(log).find((one) => one.endsWith('.log'))!,
  );
  const bytes = readFileSync(file);
  bytes[40]! ^= 1;
  writeFileSync(file, bytes);
  server = await startNeighborIndex(folder);
  expect(await healthOf(server, '')).toBe(1);
  expect(await healthOf(server, 'collections/good')).toBe(1);
  expect(await healthOf(server, 'collections/bad')).toBe(2);
  await server.client.deleteCollection({ collection: 'bad' });
  expect(await healthOf(server, 'collections/bad')).toBe('NOT_FOUND');
  await server.close();
});
