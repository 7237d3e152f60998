// CIFAR files written by hand from the layout's description, and every way in which they can be broken.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { openDataset } from './index.js';

const root = temporaryFolder('cifar');

/** Pixel value that names its image, channel, row and column, modulo 251. */
const valueAt = (image: number, channel: number, y: number, x: number): number =>
  (image * 97 + channel * 61 + y * 13 + x * 3) % 251;

function record(image: number, labels: number[]): Buffer {
  const pixels: number[] = [];
  for (let c = 0; c < 3; c++)
    for (let y = 0; y < 32; y++) for (let x = 0; x < 32; x++) pixels.push(valueAt(image, c, y, x));
  return Buffer.from([...labels, ...pixels]);
}

function folderOf(name: string, files: Record<string, Buffer>): string {
  const folder = join(root, name);
  mkdirSync(folder, { recursive: true });
  for (const [file, bytes] of Object.entries(files)) writeFileSync(join(folder, file), bytes);
  return folder;
}

describe('CIFAR', () => {
  it('reads any number of files and records in the order of their numbers, planes turned to pixels', async () => {
    const folder = folderOf('many/cifar-10-batches-bin', {
      'data_batch_10.bin': record(3, [7]),
      'data_batch_2.bin': Buffer.concat([record(1, [5]), record(2, [9])]),
      'data_batch_1.bin': record(0, [4]),
    });
    const dataset = await openDataset({ name: 'cifar-10', split: 'train', root: join(folder, '..') });
    expect([...dataset.labels]).toEqual([4, 5, 9, 7]);
    expect(dataset).toMatchObject({ size: 4, height: 32, width: 32 });
    expect(dataset.table.pixels.buffer).toBeInstanceOf(SharedArrayBuffer);
    for (let image = 0; image < 4; image++) {
      const { data } = dataset.image(image);
      for (const [y, x, c] of [
        [0, 0, 0],
        [31, 31, 2],
        [5, 17, 1],
      ] as const) {
        expect(data[(y * 32 + x) * 3 + c]).toBe(valueAt(image, c, y, x));
      }
    }
    const again = await openDataset({ name: 'cifar-10', split: 'train', root: folder });
    expect(again.contentHash).toBe(dataset.contentHash);
    dataset.close();
    expect(() => dataset.image(0)).toThrow(expect.objectContaining({ code: 'FAILED_PRECONDITION' }));
  });

  it('takes the coarse label of CIFAR-100', async () => {
    const folder = folderOf('hundred', { 'test.bin': record(1, [19, 99]) });
    const dataset = await openDataset({ name: 'cifar-20', split: 'val', root: folder });
    expect([...dataset.labels]).toEqual([19]);
    expect(dataset.classNames).toHaveLength(20);
  });

  it.each([
    ['cut in mid-record', record(0, [1]).subarray(0, 3000), 'DATA_LOSS', 'multiple of 3073'],
    ['empty', Buffer.alloc(0), 'DATA_LOSS', 'got 0 bytes'],
    [
      'a label out of range',
      Buffer.concat([record(0, [1]), record(0, [10])]),
      'DATA_LOSS',
      'record 1 has label 10; allowed: 0 to 9',
    ],
  ])('names a file that is %s', async (name, bytes, code, text) => {
    const folder = folderOf(name, { 'data_batch_1.bin': record(0, [0]), 'data_batch_2.bin': bytes });
    await expect(openDataset({ name: 'cifar-10', split: 'train', root: folder })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(text),
      resource: { type: 'file', name: join(folder, 'data_batch_2.bin') },
    });
  });

  it('tells what is missing', async () => {
    const folder = folderOf('empty folder', {});
    const open = (name: string, split: string, where?: string) => openDataset({ name, split, root: where });
    await expect(open('cifar-10', 'train', folder)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(open('cifar-10', 'train', join(root, 'nowhere'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(open('cifar-10', 'train')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(open('cifar-10', 'dev', folder)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('train, val'),
    });
    await expect(open('mnist', 'train', folder)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('cifar-10, cifar-20'),
    });
    rmSync(folder, { recursive: true });
  });
});
