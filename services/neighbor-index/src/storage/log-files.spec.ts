// The log goes on in a new file before one grows too large to be read in one piece; nothing larger is begun.
import { KindredError } from '@kindred/errors';
import { constants } from 'node:buffer';
import { expect, it } from 'vitest';
import { createCrashingDisk } from '../spec/crashing-disk.js';
import type { Change } from './log-record.js';
import { recoverLog } from './log-recovery.js';
import { logHeaderBytes, maxChangeBytes, openWriteLog } from './write-log.js';

const id = new Uint8Array(16).fill(7);
const folder = 'log';
const change = (first: bigint, count: number): Change => ({
  kind: 'delete',
  ids: Array.from({ length: count }, (_, i) => first + BigInt(i)),
});
const start = { file: 1, length: 0, lastSequence: 0n, olderBytes: [] };

async function makeLog(maxFileBytes: number) {
  const disk = createCrashingDisk();
  await disk.makeFolder(folder);
  const parts = { disk, folder, id, durability: 'synced' as const, maxFileBytes, onError: () => {} };
  return { disk, log: await openWriteLog(parts, start) };
}

async function recovered(disk: ReturnType<typeof createCrashingDisk>) {
  const found: bigint[] = [];
  const source = { disk, folder, id, dimension: 1, firstFile: 1, afterSequence: 0n };
  const { position } = await recoverLog(source, (sequence) => void found.push(sequence));
  return { found, position };
}

it('goes on in a new file, and is read through all of them', async () => {
  const { disk, log } = await makeLog(500);
  const sequences: bigint[] = [];
  for (let i = 0; i < 40; i++) sequences.push(await log.append([change(BigInt(10 * i), 10)], (sequence) => sequence));
  const files = [...disk.files].filter(([path]) => path.endsWith('.log'));
  expect(files.length).toBeGreaterThan(5);
  for (const [, bytes] of files) expect(bytes.length).toBeLessThanOrEqual(500);
  expect(log.bytes()).toBe(files.reduce((sum, [, { length }]) => sum + length, 0));
  const after = await recovered(disk.afterCrash('loses'));
  expect(after.found).toEqual(sequences);
  expect(after.position.file).toBe(files.length);
});

it('writes a change that is larger than a file into a file of its own', async () => {
  const { disk, log } = await makeLog(500);
  await log.append([change(0n, 1)], () => {});
  await log.append([change(0n, 1000)], () => {});
  await log.append([change(0n, 1)], () => {});
  const sizes = [...disk.files].filter(([path]) => path.endsWith('.log')).map(([, { length }]) => length);
  expect(sizes).toEqual([logHeaderBytes + 32, logHeaderBytes + 24 + 8000, logHeaderBytes + 32]);
  expect((await recovered(disk.afterCrash('loses'))).found).toEqual([1n, 2n, 3n]);
});

it('refuses the change, and keeps what it had, where no new file can be made', async () => {
  const { disk, log } = await makeLog(100);
  await log.append([change(0n, 8)], () => {});
  disk.limit = [...disk.files.values()].reduce((sum, { length }) => sum + length, 0) + 10;
  await expect(log.append([change(0n, 8)], () => {})).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  disk.limit = Infinity;
  expect(await log.append([change(0n, 8)], (sequence) => sequence)).toBe(2n);
  expect((await recovered(disk.afterCrash('tears'))).found).toEqual([1n, 2n]);
});

it('has no file that is longer than what is read in one piece', () => {
  // The largest change behind a file of 1 GiB less a byte would be in a new one: the longest is header, a group and a change.
  const longest = logHeaderBytes + 64 * 2 ** 20 + maxChangeBytes;
  expect(longest).toBeLessThan(Math.min(constants.MAX_LENGTH, 2 ** 32));
});

it('asks a change that looks at what is there after all before it, and before all after it', async () => {
  const { log } = await makeLog(1e9);
  const order: string[] = [];
  const told = (name: string) => () => void order.push(`${name} applied`);
  const looks = (name: string, changes: Change[]) => () => {
    order.push(`${name} looks`);
    return changes;
  };
  const written = [
    log.append([change(0n, 1)], told('a')),
    log.append([change(0n, 1)], told('b')),
    log.append(looks('c', [change(0n, 1)]), told('c')),
    log.append([change(0n, 1)], told('d')),
    log.append(looks('e', []), told('e')),
    log.append(() => {
      throw new KindredError('CANCELLED', 'no');
    }, told('f')),
    log.append([change(0n, 1)], told('g')),
  ];
  const results = await Promise.allSettled(written);
  expect(results.map(({ status }) => status)).toEqual([...Array<string>(5).fill('fulfilled'), 'rejected', 'fulfilled']);
  expect(order).toEqual([
    'a applied',
    'b applied',
    'c looks',
    'c applied',
    'd applied',
    'e looks',
    'e applied',
    'g applied',
  ]);
  expect(log.lastSequence).toBe(5n);
});
