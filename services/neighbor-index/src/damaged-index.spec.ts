// An index file that is damaged or missing: noted, answers stay right, built again from the vectors.
import { bytesOf } from '@kindred/service-runtime';
import { temporaryFolder } from '@kindred/testing';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CollectionConfig } from '@kindred/protocol/neighbors';
import { expect, it } from 'vitest';
import { part, range, startNeighborIndex, stream, wholeVectors } from './spec/start-neighbor-index.js';

const rows = 3_000;
const dimension = 8;
const collection = 'c';
const maintenance = { growingRows: 1_000, restMs: 20 };

type Server = Awaited<ReturnType<typeof startNeighborIndex>>;

async function indexed({ client }: Server): Promise<void> {
  await expect
    .poll(async () => (await client.getStats({ collection })).indexedRows, { timeout: 60_000 })
    .toBe(BigInt(rows));
}

const indexFiles = ({ dataFolder }: Server): string[] => {
  const folder = join(dataFolder, 'collections', collection, 'segments');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.index'))
    .map((name) => join(folder, name));
};

it.each<[string, NonNullable<CollectionConfig['index']>, (file: string) => void]>([
  ['a flipped bit in a graph', { $case: 'hnsw', value: { m: 0, efConstruction: 0, efSearch: 0 } }, flip],
  [
    'a cut file of codes',
    { $case: 'sq8', value: { refine: 0 } },
    (file) => writeFileSync(file, readFileSync(file).subarray(0, 99)),
  ],
  ['a missing file of cells', { $case: 'ivfFlat', value: { lists: 0, probes: 0 } }, (file) => rmSync(file)],
])('is built again after %s', async (_, index, damage) => {
  const folder = temporaryFolder('damaged-index');
  let server = await startNeighborIndex(folder, { maintenance });
  await server.client.createCollection({ collection, config: { dimension, index } });
  await server.client.upsert(stream(part(collection, range(rows), wholeVectors(rows, dimension, 1))));
  await indexed(server);
  const ask = { collection, queries: bytesOf(wholeVectors(20, dimension, 2)), k: 10 };
  const exact = await server.client.search({ ...ask, options: { exact: true } });
  const files = indexFiles(server);
  expect(files).not.toEqual([]);
  await server.close();
  files.forEach(damage);

  server = await startNeighborIndex(folder, { maintenance: { ...maintenance, threads: 1 } });
  const { recovery } = await server.client.getStats({ collection });
  expect(recovery.join('\n')).toMatch(/\.index is damaged and is built again from the vectors/);
  // A snapshot of a collection whose index is not there is as good as another.
  const { snapshot } = await server.client.snapshot({ collection });
  await indexed(server);
  expect(await server.client.search({ ...ask, options: { exact: true } })).toEqual(exact);
  const found = await server.client.search(ask);
  const scores = ({ results }: typeof exact) => results.flatMap(({ neighbors }) => neighbors.map(({ score }) => score));
  const right = scores(found).filter((score, i) => score === scores(exact)[i]).length;
  if (index.$case !== 'ivfFlat') expect(right / scores(exact).length).toBeGreaterThan(0.95);
  const again = await server.client.restore({ source: collection, snapshotId: snapshot?.snapshotId, collection: 'd' });
  expect(again.collection?.size).toBe(BigInt(rows));
  expect(await server.client.search({ ...ask, collection: 'd', options: { exact: true } })).toEqual(exact);
  await server.close();

  server = await startNeighborIndex(folder, { maintenance });
  const after = await server.client.getStats({ collection });
  expect(after.indexedRows).toBe(BigInt(rows));
  expect(after.recovery.join('\n')).not.toContain('damaged');
  await server.close();
});

function flip(file: string): void {
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1]! ^= 4;
  writeFileSync(file, bytes);
}
