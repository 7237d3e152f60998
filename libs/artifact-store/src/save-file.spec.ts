import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { smallDisk, temporaryFolder } from '@kindred/testing';
import { afterAll, describe, expect, it } from 'vitest';
import { saveFile } from './index.js';

async function* parts(count: number, size: number, broken = false): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < count; index++) yield await Promise.resolve(Buffer.alloc(size, index));
  if (broken) throw new Error('the connection broke');
}

describe('saveFile', () => {
  const folder = temporaryFolder();
  const path = join(folder, 'object');

  it.each([
    ['none', 0, 0],
    // More than the system takes in one call.
    ['many small', 5_000, 1_000],
    ['many, some of them empty', 2_000, 0],
    ['large', 5, 3_000_000],
    ['so many that some are synced early', 70, 2 ** 20],
  ])('writes parts, %s', async (_, count, size) => {
    expect(await saveFile(path, parts(count, size))).toBe(count * size);
    const expected = Buffer.concat(Array.from({ length: count }, (_, index) => Buffer.alloc(size, index)));
    expect(readFileSync(path).equals(expected)).toBe(true);
    expect(readdirSync(folder)).toEqual(['object']);
  });

  it('keeps the file that was there when the content breaks off', async () => {
    writeFileSync(path, 'before');
    await expect(saveFile(path, parts(5, 3_000_000, true))).rejects.toThrow('the connection broke');
    expect(readFileSync(path, 'utf8')).toBe('before');
    expect(readdirSync(folder)).toEqual(['object']);
  });

  describe('on a full disk', () => {
    const disk = smallDisk(join(temporaryFolder(), 'disk'), 1 << 20);
    afterAll(() => disk.remove());

    it('keeps the file that was there, and lets go of what it wrote', async () => {
      writeFileSync(join(disk.folder, 'object'), 'before');
      await expect(saveFile(join(disk.folder, 'object'), parts(20, 100_000))).rejects.toMatchObject({ code: 'ENOSPC' });
      expect(readdirSync(disk.folder)).toEqual(['object']);
      expect(readFileSync(join(disk.folder, 'object'), 'utf8')).toBe('before');
    });
  });
});
