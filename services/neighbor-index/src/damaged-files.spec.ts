// Flipped bits and cut files anywhere: detected, and the file named; or, behind what was acknowledged, dropped.
import { isKindredError } from '@kindred/errors';
import { expect, it } from 'vitest';
import { createCrashingDisk } from './spec/crashing-disk.js';
import { makeSmall, openSmall, points, versions } from './spec/small-collection.js';

const { signal } = new AbortController();

async function filled() {
  const disk = createCrashingDisk();
  const collection = await makeSmall(disk);
  await collection.upsert([points([1, 2, 3, 10, 11, 12], 1)], signal);
  await collection.maintenance.checkpoint();
  await collection.upsert([points([6, 7, 8], 1)], signal);
  await collection.delete({ ids: [2n], filter: null }, signal);
  await collection.maintenance.checkpoint();
  await collection.upsert([points([4, 5], 2)], signal);
  await collection.delete({ ids: [4n], filter: null }, signal);
  await collection.maintenance.settle();
  const expected = await versions(collection);
  await collection.close();
  return { files: disk.files, expected };
}

it('names the file in which any bit is flipped', async () => {
  const { files, expected } = await filled();
  const paths = [...files.keys()].filter((path) => !path.endsWith('/acknowledged'));
  expect(paths.some((path) => path.endsWith('.log'))).toBe(true);
  expect(paths.some((path) => path.endsWith('.points'))).toBe(true);
  expect(paths.some((path) => path.includes('/dead-'))).toBe(true);
  for (const path of paths) {
    const bytes = files.get(path)!;
    for (let bit = 0; bit < bytes.length * 8; bit += bytes.length > 400 ? 29 : 1) {
      const damaged = bytes.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      const disk = createCrashingDisk(new Map([...files, [path, damaged]]));
      const opened = await openSmall(disk).catch((thrown: unknown) => thrown);
      if (isKindredError(opened)) {
        expect(opened.code, `${path} bit ${bit}`).toBe('DATA_LOSS');
        expect(opened.resource?.name, `${path} bit ${bit}`).toBe(path);
        continue;
      }
      if (opened instanceof Error) throw opened;
      // Padding between columns is nobody's content.
      expect(path.endsWith('.points'), `${path} bit ${bit}`).toBe(true);
      expect(await versions(opened as Awaited<ReturnType<typeof openSmall>>)).toEqual(expected);
    }
  }
});

it('reads the log without its marker, and says so', async () => {
  const { files, expected } = await filled();
  const path = [...files.keys()].find((name) => name.endsWith('/acknowledged'))!;
  const damaged = files.get(path)!.slice();
  damaged[0]! ^= 1;
  const collection = await openSmall(createCrashingDisk(new Map([...files, [path, damaged]])));
  expect(await versions(collection)).toEqual(expected);
  expect((await collection.stats()).recovery.join(' ')).toContain('acknowledged is not readable');
});

it('names a log that is cut short, and drops what was never acknowledged', async () => {
  const { files, expected } = await filled();
  const path = [...files.keys()].find((name) => name.endsWith('.log'))!;
  const bytes = files.get(path)!;
  for (let length = 0; length < bytes.length; length++) {
    const disk = createCrashingDisk(new Map([...files, [path, bytes.slice(0, length)]]));
    await expect(openSmall(disk), `length ${length}`).rejects.toMatchObject({
      code: 'DATA_LOSS',
      resource: { name: path },
    });
  }
  const torn = new Uint8Array([...bytes, ...bytes.slice(32, 60)]);
  const collection = await openSmall(createCrashingDisk(new Map([...files, [path, torn]])));
  expect(await versions(collection)).toEqual(expected);
  expect((await collection.stats()).recovery.join(' ')).toContain('dropped 28 bytes');
});

it('names a segment that is missing', async () => {
  const { files } = await filled();
  const path = [...files.keys()].find((name) => name.endsWith('.points'))!;
  const left = new Map([...files].filter(([name]) => name !== path));
  await expect(openSmall(createCrashingDisk(left))).rejects.toMatchObject({
    code: 'DATA_LOSS',
    resource: { name: path },
  });
});

it('refuses what a full disk has no room for, whole, at every size of the disk', async () => {
  const { files, expected } = await filled();
  const used = [...files.values()].reduce((sum, { length }) => sum + length, 0);
  for (let room = 0; room < 400; room += 7) {
    const disk = createCrashingDisk(files);
    disk.limit = used + room;
    const collection = await openSmall(disk);
    const told = await collection
      .upsert([points([20, 21], 5), points([22, 23, 24], 5)], signal)
      .catch((thrown: unknown) => thrown);
    const after = new Map(expected);
    if (isKindredError(told)) expect(told.code).toBe('RESOURCE_EXHAUSTED');
    else for (const id of [20, 21, 22, 23, 24]) after.set(BigInt(id), 5);
    expect(await versions(collection)).toEqual(after);
    await collection.maintenance.checkpoint().catch(() => {});
    const again = await openSmall(disk.afterCrash('loses'));
    expect(await versions(again), `room ${room}`).toEqual(after);
    const roomy = disk.afterCrash('loses');
    expect((await (await openSmall(roomy)).upsert([points([30], 6)], signal)).count).toBe(1);
  }
});
