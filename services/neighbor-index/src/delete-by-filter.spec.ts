// A deletion by filter deletes what matches when it is made, not what matched when it was looked for.
import { expect, it } from 'vitest';
import type { Filter } from '@kindred/protocol/neighbors';
import { createCrashingDisk } from './spec/crashing-disk.js';
import { makeSmall, openSmall, points, versions } from './spec/small-collection.js';

const { signal } = new AbortController();
const versionIs = (version: number): Filter => ({
  must: [
    {
      condition: {
        $case: 'match',
        value: { field: 'version', anyOf: [{ value: { $case: 'number', value: version } }] },
      },
    },
  ],
  should: [],
  mustNot: [],
});

it.each([
  ['stored again while it looks', async () => {}],
  ['stored again and merged while it looks', (c: Awaited<ReturnType<typeof makeSmall>>) => c.maintenance.checkpoint()],
])('keeps a point that is %s', async (_, between) => {
  const disk = createCrashingDisk();
  const collection = await makeSmall(disk);
  await collection.upsert([points([2, 4, 6, 8], 1)], signal);
  await collection.maintenance.checkpoint();
  // The deletion looks at the payloads in other turns than the one in which it is called.
  const deletion = collection.delete({ ids: null, filter: versionIs(1) }, signal);
  const upsert = collection.upsert([points([4, 6], 2)], signal);
  await between(collection);
  expect((await upsert).count).toBe(2);
  expect((await deletion).count).toBe(2);
  const expected = new Map([
    [4n, 2],
    [6n, 2],
  ]);
  expect(await versions(collection)).toEqual(expected);
  await collection.close();
  expect(await versions(await openSmall(disk.afterCrash('loses')))).toEqual(expected);
});

it('deletes a point that was stored again and still matches', async () => {
  const collection = await makeSmall(createCrashingDisk());
  await collection.upsert([points([2, 4], 1)], signal);
  const deletion = collection.delete({ ids: null, filter: versionIs(1) }, signal);
  await collection.upsert([points([2], 1)], signal);
  expect((await deletion).count).toBe(2);
  expect(await collection.size()).toBe(0);
  const nothing = await collection.delete({ ids: null, filter: versionIs(1) }, signal);
  expect(nothing).toMatchObject({ count: 0, size: 0 });
});
