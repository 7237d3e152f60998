// While collections are found and read at a start: nothing that exists is made anew, nothing is read twice.
import { temporaryFolder } from '@kindred/testing';
import { createHealthBoard, createLogger } from '@kindred/service-runtime';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createAliases } from './aliases.js';
import { defaultMaintenance } from './collection/maintenance.js';
import { makeFiles } from './collection/open-files.js';
import { createCollections } from './collections.js';
import { createEmbeddedEngine } from './engine/embedded-engine.js';
import { createCrashingDisk, losses } from './spec/crashing-disk.js';
import { makeSmall, points, smallSpec } from './spec/small-collection.js';
import { testLimits } from './spec/test-limits.js';
import { createNodeDisk, type Disk } from './storage/disk.js';

const { signal } = new AbortController();
const bytes = new Uint8Array(8);

/** The disk of one collection, `c`, of three points. */
async function filledDisk() {
  const disk = createCrashingDisk();
  const collection = await makeSmall(disk);
  await collection.upsert([points([1, 2, 3], 1)], signal);
  await collection.close();
  return disk;
}

function collectionsOn(disk: Disk) {
  const logger = createLogger('neighbor-index', 'silent');
  const embedded = createEmbeddedEngine({
    disk,
    limits: testLimits,
    logger,
    maintenance: defaultMaintenance,
    health: createHealthBoard(),
  });
  return { embedded, collections: createCollections([embedded], createAliases(disk), testLimits) };
}

/** A promise that is kept when the test says so. */
function gate() {
  let release = (): void => {};
  const passed = new Promise<void>((resolve) => (release = resolve));
  return { passed, release };
}

it('refuses to make a collection before it knows which there are', async () => {
  const disk = await filledDisk();
  const { passed, release } = gate();
  const slow: Disk = { ...disk, list: (path) => passed.then(() => disk.list(path)) };
  const { collections } = collectionsOn(slow);
  const loading = collections.load();
  expect(() => collections.create('c', smallSpec)).toThrow('the collections are being found');
  release();
  await loading;
  expect(await collections.get('c').size()).toBe(3);
  await collections.close();
});

it('makes no collection over another', async () => {
  const disk = await filledDisk();
  const before = disk.files;
  await expect(makeFiles(disk, 'collections/c', smallSpec, new Date(0))).rejects.toMatchObject({
    code: 'ALREADY_EXISTS',
  });
  expect(disk.files).toEqual(before);
});

it('reads what is made meanwhile once, and deletes nothing that is being read', async () => {
  const disk = await filledDisk();
  const { passed, release } = gate();
  const opened: string[] = [];
  const slow: Disk = {
    ...disk,
    async open(path, create) {
      opened.push(path);
      if (path.startsWith('collections/c/segments') || path === 'collections/c/manifest.json') await passed;
      return disk.open(path, create);
    },
  };
  const { embedded, collections } = collectionsOn(slow);
  const loading = collections.load();
  await expect.poll(() => opened.includes('collections/c/manifest.json')).toBe(true);
  await collections.create('d', smallSpec);
  await expect(collections.delete('c')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await expect(embedded.delete('c')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  release();
  await loading;
  expect(opened.filter((path) => path === 'collections/d/manifest.json')).toHaveLength(1);
  expect(await collections.get('c').size()).toBe(3);
  await collections.delete('c');
  expect(collections.list().map(({ name }) => name)).toEqual(['d']);
  expect([...disk.files.keys()].filter((path) => path.startsWith('collections/c/'))).toEqual([]);
  await collections.close();
});

it('keeps a folder whose manifest is missing, names it, and lets it be deleted', async () => {
  const disk = await filledDisk();
  const left = new Map([...disk.files].filter(([path]) => !path.endsWith('/manifest.json')));
  // What a crash leaves of a restoration.
  const started = createCrashingDisk(
    new Map([...left, ['collections/e/unfinished', bytes], ['collections/e/segments/00000001.points', bytes]]),
  );
  const { collections } = collectionsOn(started);
  await collections.load();
  expect(collections.list()).toMatchObject([{ name: 'c', state: 'damaged' }]);
  expect(() => collections.get('c')).toThrow('collections/c/manifest.json is damaged: it is missing');
  expect([...started.files.keys()]).toEqual([...left.keys()]);
  await collections.delete('c');
  expect(collections.list()).toEqual([]);
  expect(started.files.size).toBe(0);
  await collections.close();
});

it.each(losses)(
  'has a collection whole or not at all after a crash before any step of its deletion; the disk %s',
  async (loss) => {
    const { files } = await filledDisk();
    for (let step = 1, crashed = true; crashed; step++) {
      const disk = createCrashingDisk(files);
      const first = collectionsOn(disk).collections;
      await first.load();
      disk.crashBefore(step);
      crashed = await first.delete('c').then(
        () => false,
        () => true,
      );
      const { collections } = collectionsOn(disk.afterCrash(loss));
      await collections.load();
      const found = collections.list();
      if (found.length === 0) expect(step).toBeGreaterThan(1);
      else expect(await collections.get('c').size(), `step ${step}`).toBe(3);
      if (!crashed) expect(found).toEqual([]);
      await collections.close();
    }
  },
);

it('takes only what is not there for an empty folder', async () => {
  const folder = temporaryFolder('neighbor-index-list');
  writeFileSync(join(folder, 'file'), '');
  const disk = createNodeDisk(folder);
  expect(await disk.list('nothing')).toEqual([]);
  await expect(disk.list('file/below')).rejects.toMatchObject({ code: 'ENOTDIR' });
});
