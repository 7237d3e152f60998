// Records of the log stay below the size from which recovery takes them for damage.
import { UpsertRequest } from '@kindred/protocol/neighbors';
import { bytesOf } from '@kindred/service-runtime';
import { expect, it } from 'vitest';
import { createQuotas } from './engine/quotas.js';
import { createCrashingDisk } from './spec/crashing-disk.js';
import { makeSmall, openSmall, points, smallSpec, versions } from './spec/small-collection.js';
import { testLimits } from './spec/test-limits.js';
import { deletionsOf, encodeRecord, maxRecordBytes, recordBytes, type Change } from './storage/log-record.js';
import { createUpsertBatch } from './upsert-batch.js';

const { signal } = new AbortController();
const nothing = { collections: 0, vectors: 0, memoryBytes: 0, diskBytes: 0 };
const { hold } = createQuotas(testLimits, () => nothing);
const written = (change: Change): number =>
  encodeRecord({ sequence: 1n, last: true, change }).reduce((sum, { byteLength }) => sum + byteLength, 0);

it('refuses a record that a start could not read, before it is written', async () => {
  const disk = createCrashingDisk();
  const collection = await makeSmall(disk);
  await collection.upsert([points([1, 2], 1)], signal);
  const count = 1_100;
  const ids = BigUint64Array.from({ length: count }, (_, i) => BigInt(100 + i));
  const payloads = new Array<string>(count).fill(JSON.stringify({ text: 'x'.repeat(65_000) }));
  const large = { ids, vectors: new Float32Array(2 * count), labels: new Int32Array(count), payloads };
  await expect(collection.upsert([points([3], 1), large], signal)).rejects.toMatchObject({
    code: 'RESOURCE_EXHAUSTED',
  });
  await collection.upsert([points([4], 1)], signal);
  const expected = await versions(collection);
  expect([...expected.keys()]).toEqual([1n, 2n, 4n]);
  await collection.close();
  expect(await versions(await openSmall(disk))).toEqual(expected);
});

it('deletes any number of ids in records of a size that is read again', () => {
  const texts = Array.from({ length: 150_000 }, (_, i) => String(i).padStart(256, '-'));
  const ids = [...texts, 7n, 8n];
  const changes = deletionsOf(ids);
  expect(changes.flatMap((change) => (change.kind === 'delete' ? change.ids : []))).toEqual([7n, 8n, ...texts]);
  for (const change of changes) expect(written(change)).toBeLessThan(maxRecordBytes / 2);
});

it('counts ids and payloads in the size of a part of an upsert', () => {
  const batch = createUpsertBatch({ ...smallSpec, dimension: 1 }, { ...testLimits, maxUpsertBytes: 2 ** 30 }, hold);
  const texts = Array.from({ length: 900 }, (_, i) => `é${i}`);
  const payloads = texts.map(() => JSON.stringify({ text: 'é'.repeat(30_000) }));
  const vectors = bytesOf(new Float32Array(900).fill(1));
  batch.add(UpsertRequest.fromPartial({ collection: 'c', texts, payloads, vectors }));
  expect(batch.parts.flatMap(({ ids }) => [...ids])).toEqual(texts);
  expect(batch.parts.flatMap((part) => part.payloads)).toEqual(payloads);
  for (const one of batch.parts) {
    const change: Change = { kind: 'upsert', points: one };
    expect(recordBytes(change)).toBe(written(change));
    expect(written(change)).toBeLessThan(maxRecordBytes / 2);
  }
});
