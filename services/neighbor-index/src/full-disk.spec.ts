import { join } from 'node:path';
import { createFolderStore } from '@kindred/artifact-store';
import { createFaissEngine } from '@kindred/faiss-native';
import { createLogger } from '@kindred/service-runtime';
import { fillDisk, smallDisk, temporaryFolder } from '@kindred/testing';
import { afterAll, expect, it } from 'vitest';
import { createIndexes } from './indexes.js';

const dimension = 16;
const count = 2_000;
const disk = smallDisk(join(temporaryFolder('neighbor-index-disk'), 'disk'), 1 << 20);
const engine = createFaissEngine();
afterAll(async () => {
  await engine.close();
  disk.remove();
});

const rows = (first: number) => ({
  ids: BigUint64Array.from({ length: count }, (_, i) => BigInt(first + i)),
  vectors: Float32Array.from({ length: count * dimension }, (_, i) => Math.sin(first + i)),
  labels: new Int32Array(count).fill(-1),
});

it('names the folder that is full, keeps what it had, and takes the same rows once there is space', async () => {
  const limits = { maxVectors: 20_000, maxUpsertBytes: 16 << 20, maxMiningJobs: 1 };
  const store = await createFolderStore(disk.folder);
  const logger = createLogger('neighbor-index', 'silent');
  const indexes = createIndexes({ store, engine, limits, logger });
  await indexes.load();
  const index = await indexes.create({ indexId: 'full', dimension, description: '' });
  await index.upsert(rows(0), () => {});
  const filled = fillDisk(disk);
  await expect(index.upsert(rows(count), () => {})).rejects.toMatchObject({
    code: 'RESOURCE_EXHAUSTED',
    resource: { type: 'folder', name: disk.folder },
  });
  expect(index.size).toBe(count);
  filled.remove();
  await index.upsert(rows(count), () => {});
  expect(index.size).toBe(2 * count);
});
