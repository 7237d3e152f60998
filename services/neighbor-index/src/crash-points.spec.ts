// A crash before every single step that a small script makes on the disk: nothing acknowledged is lost, nothing refused appears.
import { expect, it } from 'vitest';
import type { EmbeddedCollection } from './collection/embedded-collection.js';
import type { PointId } from './engine/points.js';
import { createCrashingDisk, losses, type CrashingDisk } from './spec/crashing-disk.js';
import { makeSmall, openSmall, points, versions } from './spec/small-collection.js';

const { signal } = new AbortController();

type Step = (collection: EmbeddedCollection) => Promise<unknown>;
interface Write {
  readonly make: Step;
  readonly expected: (model: Map<PointId, number>) => void;
}

const upsert = (ids: number[], version: number): Write => ({
  make: (collection) => collection.upsert([points(ids, version)], signal),
  expected: (model) => ids.forEach((id) => model.set(BigInt(id), version)),
});
const remove = (ids: number[]): Write => ({
  make: (collection) => collection.delete({ ids: ids.map(BigInt), filter: null }, signal),
  expected: (model) => ids.forEach((id) => model.delete(BigInt(id))),
});
const upkeep = (make: Step): Write => ({ make, expected: () => {} });
const checkpoint = upkeep((collection) => collection.maintenance.checkpoint());

const script: Write[] = [
  upsert([1, 2, 3], 1),
  remove([2]),
  checkpoint,
  upsert([2, 3, 4, 5], 2),
  {
    // Two records of one change.
    make: (collection) => collection.upsert([points([6, 7], 3), points([1, 8], 3)], signal),
    expected: (model) => [6, 7, 1, 8].forEach((id) => model.set(BigInt(id), 3)),
  },
  remove([5, 6]),
  checkpoint,
  upsert([9], 4),
  checkpoint,
  upsert([10], 5),
  checkpoint,
  upkeep((collection) => collection.maintenance.settle()),
  remove([10, 1]),
];

/** Runs the script until the disk crashes; returns the models before and after the write that was under way. */
async function run(disk: CrashingDisk): Promise<{ model: Map<PointId, number>; next: Map<PointId, number> }> {
  let model = new Map<PointId, number>();
  let next = model;
  try {
    const collection = await makeSmall(disk);
    for (const { make, expected } of script) {
      next = new Map(model);
      expected(next);
      await make(collection);
      model = next;
    }
    await collection.close();
  } catch {
    // The crash; or a refusal because of it.
  }
  return { model, next };
}

const whole = createCrashingDisk();
const last = await run(whole);

it('runs whole without a crash', async () => {
  expect(whole.steps).toBeGreaterThan(100);
  expect(await versions(await openSmall(whole.afterCrash('loses')))).toEqual(last.model);
});

it.each(losses)('loses nothing that was acknowledged; the disk %s what was not synced', async (loss) => {
  for (let step = 1; step <= whole.steps; step++) {
    const disk = createCrashingDisk();
    disk.crashBefore(step);
    const { model, next } = await run(disk);
    const left = disk.afterCrash(loss);
    if (!left.files.has('collections/c/manifest.json')) {
      expect(model.size, `step ${step}`).toBe(0);
      continue;
    }
    const collection = await openSmall(left).catch((thrown: unknown) => {
      throw new Error(`after a crash before step ${step}`, { cause: thrown });
    });
    const found = await versions(collection);
    const same = (a: Map<PointId, number>) =>
      found.size === a.size && [...a].every(([id, version]) => found.get(id) === version);
    expect(same(model) || same(next), `step ${step}: ${JSON.stringify([...found].map(String))}`).toBe(true);
    expect(await collection.size()).toBe(found.size);
    // It works again, and what it is told now is there after another crash.
    await collection.upsert([points([77], 9)], signal);
    const again = await openSmall(left.afterCrash('loses'));
    expect((await versions(again)).get(77n), `step ${step}`).toBe(9);
  }
});
