// Quotas: what does not fit is refused by name before it is taken, and what is given back is there again.
import { expect, it } from 'vitest';
import { testLimits } from '../spec/test-limits.js';
import { createQuotas } from './quotas.js';

const limits = { ...testLimits, maxVectors: 100, maxMemoryBytes: 1000, maxDiskBytes: 5000 };
const used = { collections: 1, vectors: 40, memoryBytes: 300, diskBytes: 4000 };
const plenty = (): number => 1e12;
const refusedBy = (name: string) => ({ code: 'RESOURCE_EXHAUSTED', resource: { type: 'quota', name } });
const thrownBy = (work: () => unknown): unknown => {
  try {
    work();
  } catch (thrown) {
    return thrown;
  }
  return null;
};

it('refuses by the quota that would be broken, with what is reserved counted', () => {
  const quotas = createQuotas(limits, () => used, plenty);
  expect(thrownBy(() => quotas.reserve(61, 0))).toMatchObject(refusedBy('vectors'));
  expect(thrownBy(() => quotas.reserve(0, 1001))).toMatchObject(refusedBy('disk'));
  expect(thrownBy(() => quotas.reserve(0, 701))).toMatchObject(refusedBy('memory'));
  const giveBack = quotas.reserve(60, 700);
  expect(thrownBy(() => quotas.reserve(1, 0))).toMatchObject(refusedBy('vectors'));
  expect(thrownBy(() => quotas.hold(1, 'a merge'))).toMatchObject(refusedBy('memory'));
  giveBack();
  giveBack();
  quotas.reserve(60, 700);
});

it('holds memory of passing work, which grows, shrinks and ends', () => {
  const quotas = createQuotas(limits, () => used, plenty);
  const stream = quotas.hold(0, 'an Upsert stream');
  stream.resize(600);
  expect(thrownBy(() => stream.resize(701))).toMatchObject({
    message: expect.stringMatching(/^an Upsert stream: got 1001 bytes of memory/) as string,
    ...refusedBy('memory'),
  });
  expect(thrownBy(() => quotas.hold(101, 'a merge'))).toMatchObject(refusedBy('memory'));
  stream.resize(100);
  const merge = quotas.hold(600, 'a merge');
  // A checkpoint gives memory back in the end: it is counted, and not refused.
  const checkpoint = quotas.hold(500, 'a checkpoint', 'none');
  // What was allowed once is read again, whatever the limit is by now.
  quotas.hold(5000, 'reading', 'machine').release();
  merge.release();
  expect(thrownBy(() => quotas.hold(101, 'a merge'))).toMatchObject(refusedBy('memory'));
  checkpoint.release();
  checkpoint.release();
  stream.release();
  quotas.hold(700, 'a merge');
});

it('leaves the machine some memory, whatever the limit is', () => {
  const headroom = 256 * 2 ** 20;
  const rich = { ...limits, maxMemoryBytes: 1e15, maxDiskBytes: 1e15 };
  const quotas = createQuotas(
    rich,
    () => used,
    () => headroom + 1000,
  );
  expect(thrownBy(() => quotas.hold(1001, 'a merge'))).toMatchObject(refusedBy('machine'));
  // What was granted since the machine was asked counts.
  quotas.hold(600, 'a merge');
  expect(thrownBy(() => quotas.hold(401, 'reading', 'machine'))).toMatchObject(refusedBy('machine'));
  expect(thrownBy(() => quotas.reserve(1, 401))).toMatchObject(refusedBy('machine'));
  quotas.reserve(1, 400);
});
