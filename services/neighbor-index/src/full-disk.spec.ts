import { join } from 'node:path';
import { bytesOf } from '@kindred/service-runtime';
import { fillDisk, smallDisk, temporaryFolder } from '@kindred/testing';
import { afterAll, expect, it } from 'vitest';
import { part, range, startNeighborIndex, stream, wholeVectors } from './spec/start-neighbor-index.js';

const dimension = 16;
const count = 2_000;
const disk = smallDisk(join(temporaryFolder('neighbor-index-disk'), 'disk'), 4 << 20);
afterAll(() => disk.remove());

it('refuses writes to a full disk, keeps what it had, also over a restart, and takes them once there is space', async () => {
  let server = await startNeighborIndex(disk.folder);
  const collection = 'full';
  const upsert = (first: number) =>
    server.client.upsert(stream(part(collection, range(count, first), wholeVectors(count, dimension, first + 1))));
  const known = async () => [
    await server.client.count({ collection }),
    await server.client.search({ collection, queries: bytesOf(wholeVectors(20, dimension, 5)), k: 50 }),
  ];
  await server.client.createCollection({ collection, config: { dimension } });
  await upsert(0);
  const before = await known();
  const filled = fillDisk(disk);
  for (let i = 0; i < 3; i++) {
    await expect(upsert(count)).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      resource: { type: 'collection', name: collection },
    });
  }
  expect(await known()).toEqual(before);
  filled.remove();
  await server.close();
  server = await startNeighborIndex(disk.folder);
  expect(await known()).toEqual(before);
  await upsert(count);
  expect((await server.client.count({ collection })).count).toBe(BigInt(2 * count));
  await server.close();
});
