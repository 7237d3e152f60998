import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { smallDisk, temporaryFolder } from '@kindred/testing';
import { afterAll, describe, expect, it } from 'vitest';
import { saveFile, writeBlocks } from './index.js';

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

  it('writes several files at once', async () => {
    const names = ['a', 'b', 'c'].map((name) => join(folder, name));
    await Promise.all(names.map((name, index) => saveFile(name, parts(20 + index, 2 ** 20))));
    for (const [index, name] of names.entries()) {
      const blocks = Array.from({ length: 20 + index }, (_, block) => Buffer.alloc(2 ** 20, block));
      expect(readFileSync(name).equals(Buffer.concat(blocks))).toBe(true);
      rmSync(name);
    }
  });

  it('takes parts that share their memory, and small ones between large ones', async () => {
    const slab = Buffer.alloc(400_000, 7);
    async function* mixed(): AsyncGenerator<Uint8Array> {
      for (let index = 0; index < 60; index++) {
        yield await Promise.resolve(slab.subarray(index, index + 100_000));
        yield Buffer.alloc(200_000, index);
        yield Buffer.alloc(10, index);
      }
    }
    const expected = Array.from({ length: 60 }, (_, index) =>
      Buffer.concat([Buffer.alloc(100_000, 7), Buffer.alloc(200_010, index)]),
    );
    expect(await saveFile(path, mixed())).toBe(60 * 300_010);
    expect(readFileSync(path).equals(Buffer.concat(expected))).toBe(true);
    expect(slab.every((byte) => byte === 7)).toBe(true);
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

    it.each([
      ['in memory until its end', 20, 100_000],
      ['by the thread', 20, 2 ** 20],
    ])('keeps the file that was there, and lets go of what it wrote, %s', async (_, count, size) => {
      writeFileSync(join(disk.folder, 'object'), 'before');
      await expect(saveFile(join(disk.folder, 'object'), parts(count, size))).rejects.toMatchObject({ code: 'ENOSPC' });
      expect(readdirSync(disk.folder)).toEqual(['object']);
      expect(readFileSync(join(disk.folder, 'object'), 'utf8')).toBe('before');
    });
  });
});

describe('writeBlocks', () => {
  it('takes parts whose memory is used again', async () => {
    const path = join(temporaryFolder(), 'file');
    const one = Buffer.alloc(300_000);
    async function* same(): AsyncGenerator<Uint8Array> {
      for (let index = 0; index < 60; index++) yield await Promise.resolve(one.fill(index));
    }
    expect(await writeBlocks(path, same())).toBe(18_000_000);
    const expected = Array.from({ length: 60 }, (_, index) => Buffer.alloc(300_000, index));
    expect(readFileSync(path).equals(Buffer.concat(expected))).toBe(true);
  });
});
