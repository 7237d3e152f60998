// Choosing parts to merge comes to an end, whatever their sizes are.
import { expect, it } from 'vitest';
import type { IndexSpec } from '../engine/spec.js';
import { createCrashingDisk } from '../spec/crashing-disk.js';
import { makeSmall, smallSpec } from '../spec/small-collection.js';
import type { SealedPart } from './contents.js';
import { indexPlan } from './index-plan.js';
import { choosePartsToMerge } from './optimizer.js';

const hnsw: IndexSpec = { kind: 'hnsw', m: 16, efConstruction: 100, efSearch: 100 };
const pq: IndexSpec = { kind: 'ivf-pq', lists: 0, subvectors: 1, probes: 0, refine: 4 };

/** Merges as `choosePartsToMerge` says, on sizes only, until it has nothing to say. @returns the parts' rows. */
async function settled(index: IndexSpec, dimension: number, bare: readonly number[], indexed: readonly number[] = []) {
  const { contents, files, close } = await makeSmall(createCrashingDisk());
  const spec = { ...smallSpec, dimension, index };
  const of = (rows: number, withIndex: boolean): SealedPart => {
    const part = { rows, alive: { dead: 0 }, index: withIndex ? {} : null } as SealedPart['part'];
    return { part, entry: { number: 1, rows, bytes: 0, index: null }, saved: null };
  };
  contents.sealed = [...bare.map((rows) => of(rows, false)), ...indexed.map((rows) => of(rows, true))];
  for (let turns = 0; turns < 50; turns++) {
    const chosen = choosePartsToMerge(contents, { ...files, manifest: { ...files.manifest, spec } });
    if (chosen === null) {
      const left = contents.sealed.map(({ part }) => [part.rows, part.index !== null] as const);
      contents.sealed = [];
      await close();
      return left;
    }
    const rows = chosen.reduce((sum, { entry }) => sum + entry.rows, 0);
    const left = contents.sealed.filter((one) => !chosen.includes(one));
    contents.sealed = [...left, of(rows, indexPlan(index, rows) !== null)];
  }
  throw new Error('it goes on and on');
}

it('ends where a small part comes before one that does not fit beside it', async () => {
  // 4096 rows fit one part.
  expect(await settled(hnsw, 65_536, [10, 4_090])).toEqual([
    [10, false],
    [4_090, true],
  ]);
  expect(await settled(hnsw, 65_536, [10, 1_990], [2_000])).toEqual([[4_000, true]]);
});

it('ends where parts have enough rows for an index together, but do not fit together', async () => {
  // 10,000 rows fit one part, and 9984 are needed.
  expect(await settled(pq, 26_843, [9_000, 9_000])).toEqual([
    [9_000, false],
    [9_000, false],
  ]);
});

it('takes as many parts as fit', async () => {
  expect(await settled(hnsw, 65_536, [1_000, 4_000, 1_500, 90])).toEqual([
    [4_090, true],
    [2_500, true],
  ]);
});
