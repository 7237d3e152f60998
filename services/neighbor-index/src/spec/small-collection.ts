// Test support: a collection of vectors of two numbers on a disk in memory, and what must be in it.
import { openEmbeddedCollection, type EmbeddedCollection } from '../collection/embedded-collection.js';
import { defaultMaintenance } from '../collection/maintenance.js';
import { makeFiles } from '../collection/open-files.js';
import { createQuotas } from '../engine/quotas.js';
import type { CollectionSpec } from '../engine/spec.js';
import type { PointId, Points } from '../engine/points.js';
import { testLimits } from './test-limits.js';
import type { Disk } from '../storage/disk.js';

/** Flat, two numbers a vector. */
export const smallSpec: CollectionSpec = {
  dimension: 2,
  metric: 'inner-product',
  description: '',
  index: { kind: 'flat' },
  durability: 'synced',
  engine: 'embedded',
  weaviate: null,
};
const folder = 'collections/c';
/** Nothing in the background: tests say when. */
const quiet = { ...defaultMaintenance, restMs: 1e9, retryMs: 1e9 };

/** Makes an empty collection on `disk`. */
export async function makeSmall(disk: Disk, spec: CollectionSpec = smallSpec): Promise<EmbeddedCollection> {
  await makeFiles(disk, folder, spec, new Date(0));
  return openSmall(disk);
}

/** Opens the collection of `disk`. */
export function openSmall(disk: Disk): Promise<EmbeddedCollection> {
  return openEmbeddedCollection('c', {
    disk,
    folder,
    quotas: createQuotas(testLimits, () => ({ collections: 0, vectors: 0, memoryBytes: 0, diskBytes: 0 })),
    maintenance: quiet,
    onError: () => {},
    onBroken: () => {},
    onProgress: () => {},
  });
}

/** Points whose content follows from their ids and `version`. */
export function points(ids: readonly number[], version: number): Points {
  return {
    ids: BigUint64Array.from(ids, BigInt),
    vectors: Float32Array.from(ids.flatMap((id) => [id, version])),
    labels: Int32Array.from(ids, (id) => id % 3),
    payloads: ids.map((id) => (id % 2 === 0 ? JSON.stringify({ version }) : '')),
  };
}

/** What a collection holds: a version by id. */
export async function versions(collection: EmbeddedCollection): Promise<Map<PointId, number>> {
  const { signal } = new AbortController();
  const page = await collection.scroll(
    { after: null, limit: 1_000_000, filter: null, include: { vectors: true, payloads: true } },
    signal,
  );
  return new Map(
    page.points.map(({ id, vector, label, payload }) => {
      const version = vector![1]!;
      const sound = BigInt(vector![0]!) === id && BigInt(label) === BigInt(id) % 3n;
      const told = BigInt(id) % 2n === 0n ? payload === JSON.stringify({ version }) : payload === '';
      if (!sound || !told) throw new Error(`point ${id} is not as it was stored`);
      return [id, version];
    }),
  );
}
