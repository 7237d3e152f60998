// A checkpoint that fails at any place: what the manifest on disk names is there.
import { expect, it } from 'vitest';
import { createCrashingDisk } from './spec/crashing-disk.js';
import { makeSmall, openSmall, points, versions } from './spec/small-collection.js';
import type { Disk } from './storage/disk.js';

const { signal } = new AbortController();

/** A disk in memory whose steps fail while `fails` says so. */
function failingDisk() {
  const disk = createCrashingDisk();
  const control = { disk, fails: (_step: string, _path: string): boolean => false };
  const checked = (step: 'open' | 'rename' | 'remove' | 'syncFolder', path: string): void => {
    if (control.fails(step, path)) throw Object.assign(new Error(`${step} ${path} failed`), { code: 'EIO' });
  };
  const failing: Disk = {
    ...disk,
    async open(path, create) {
      checked('open', path);
      return disk.open(path, create);
    },
    async rename(from, to) {
      checked('rename', to);
      return disk.rename(from, to);
    },
    async remove(path) {
      checked('remove', path);
      return disk.remove(path);
    },
    async syncFolder(path) {
      checked('syncFolder', path);
      return disk.syncFolder(path);
    },
  };
  return { control, failing };
}

it.each([
  ['the manifest is not renamed', 'rename', 'collections/c/manifest.json'],
  ['its folder is not synced', 'syncFolder', 'collections/c'],
  ['the folder of segments is not synced', 'syncFolder', 'collections/c/segments'],
])('keeps everything when %s', async (_, step, path) => {
  const { control, failing } = failingDisk();
  const collection = await makeSmall(failing);
  await collection.upsert([points([1, 2, 3], 1)], signal);
  await collection.delete({ ids: [2n], filter: null }, signal);
  control.fails = (...done) => done[0] === step && done[1] === path;
  await expect(collection.maintenance.checkpoint()).rejects.toMatchObject({ message: `${step} ${path} failed` });
  control.fails = () => false;
  const expected = await versions(collection);
  expect([...expected.keys()]).toEqual([1n, 3n]);
  expect(await versions(await openSmall(control.disk.afterCrash('keeps')))).toEqual(expected);
  // It goes on, and the next checkpoint holds.
  await collection.upsert([points([4], 1)], signal);
  await collection.maintenance.checkpoint();
  const after = await versions(collection);
  expect([...after.keys()]).toEqual([1n, 3n, 4n]);
  expect(await versions(await openSmall(control.disk.afterCrash('loses')))).toEqual(after);
});

it('holds where files that are no longer named cannot be removed; the next start removes them', async () => {
  const { control, failing } = failingDisk();
  const collection = await makeSmall(failing);
  // Few enough dead rows that nothing is optimized.
  await collection.upsert([points([1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12], 1)], signal);
  await collection.delete({ ids: [2n], filter: null }, signal);
  await collection.maintenance.checkpoint();
  await collection.upsert([points([4], 1)], signal);
  await collection.delete({ ids: [3n], filter: null }, signal);
  control.fails = (step, path) => step === 'remove' && path.includes('/segments/');
  await collection.maintenance.checkpoint();
  const dead = (files: ReadonlyMap<string, unknown>) => [...files.keys()].filter((path) => path.includes('/dead-'));
  const left = control.disk.afterCrash('loses');
  expect(dead(left.files)).toHaveLength(2);
  expect(await versions(await openSmall(left))).toEqual(await versions(collection));
  expect(dead(left.files)).toHaveLength(1);
});

it('removes nothing of a collection that is damaged', async () => {
  const { control, failing } = failingDisk();
  const collection = await makeSmall(failing);
  await collection.upsert([points([1], 1)], signal);
  await collection.maintenance.checkpoint();
  const { disk } = control;
  const segment = [...disk.files.keys()].find((path) => path.endsWith('.points'))!;
  disk.replace(`${segment}.copy`, disk.files.get(segment)!);
  disk.replace(segment, new Uint8Array(3));
  const before = [...disk.files.keys()];
  await expect(openSmall(disk)).rejects.toMatchObject({ code: 'DATA_LOSS' });
  expect([...disk.files.keys()]).toEqual(before);
});
