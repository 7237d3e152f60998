// Folders and zip archives of images by class, made here with sharp.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';
import { temporaryFolder } from '@kindred/testing';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { openDataset } from './index.js';

const root = temporaryFolder('folder');

async function paint(
  path: string,
  rgb: [number, number, number],
  size = 8,
  format: 'png' | 'jpeg' | 'webp' = 'png',
): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  const [r, g, b] = rgb;
  const image = sharp({ create: { width: size, height: size + 1, channels: 3, background: { r, g, b } } });
  await image.toFormat(format, format === 'webp' ? { lossless: true } : {}).toFile(path);
}

/** A zip with deflated entries, by APPNOTE's layout; only what a reader needs is filled in. */
function zipOf(files: Record<string, Buffer>): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, data] of Object.entries(files)) {
    const packed = deflateRawSync(data);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(8, 4);
    fields.writeUInt32LE(crc32(data), 10);
    fields.writeUInt32LE(packed.length, 14);
    fields.writeUInt32LE(data.length, 18);
    fields.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from(name), packed]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    directory.push(Buffer.from('PK\x01\x02'), Buffer.from([20, 0]), fields, tail, Buffer.from(name));
    locals.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(locals.length, 8);
  end.writeUInt16LE(locals.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, central, end]);
}

describe('folder', () => {
  it('reads PNG, JPEG and WebP by class, with one list of classes for all splits', async () => {
    const folder = join(root, 'split');
    await paint(join(folder, 'train/cat/a.png'), [200, 10, 30]);
    await paint(join(folder, 'train/dog/b.webp'), [1, 2, 3], 8, 'webp');
    await paint(join(folder, 'train/dog/c.JPG'), [90, 90, 90], 8, 'jpeg');
    await paint(join(folder, 'test/dog/d.png'), [5, 6, 7]);
    const train = await openDataset({ name: 'folder', split: 'train', root: folder });
    expect(train).toMatchObject({ size: 3, width: 8, height: 9, classNames: ['cat', 'dog'] });
    expect([...train.labels]).toEqual([0, 1, 1]);
    expect([...train.image(0).data.subarray(0, 3)]).toEqual([200, 10, 30]);
    expect([...train.image(1).data.subarray(-3)]).toEqual([1, 2, 3]);
    const val = await openDataset({ name: 'folder', split: 'val', root: folder });
    expect([...val.labels]).toEqual([1]);

    const names = ['train/cat/a.png', 'train/dog/b.webp', 'train/dog/c.JPG', 'test/dog/d.png'];
    const archive = zipOf(Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name))])));
    const path = join(root, 'set.zip');
    writeFileSync(path, archive);
    const zipped = await openDataset({ name: 'folder', split: 'train', root: path });
    expect(zipped.contentHash).toBe(train.contentHash);
    writeFileSync(path, archive.subarray(0, archive.length - 40));
    await expect(openDataset({ name: 'folder', split: 'train', root: path })).rejects.toMatchObject({
      code: 'DATA_LOSS',
    });
    archive[60]! ^= 0xff;
    writeFileSync(path, archive);
    await expect(openDataset({ name: 'folder', split: 'train', root: path })).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringContaining('train/cat/a.png'),
    });
  });

  it('keeps images of different sizes, grey, alpha and 16 bit as 8-bit RGB', async () => {
    const folder = join(root, 'sizes');
    await paint(join(folder, 'x/0.png'), [10, 20, 30], 4);
    await paint(join(folder, 'x/1.png'), [40, 50, 60], 6);
    const ways = { grey: 1, greyAlpha: 2, alpha: 4 } as const;
    for (const [name, channels] of Object.entries(ways)) {
      const raw = { width: 2, height: 2, channels };
      const pixel = [77, 9, 9, 128].slice(0, channels);
      const pipeline = sharp(Uint8Array.from([...pixel, ...pixel, ...pixel, ...pixel]), { raw });
      const bytes = await (channels < 3 ? pipeline.toColourspace('b-w') : pipeline).png().toBuffer();
      writeFileSync(join(folder, `x/${name}.png`), bytes);
    }
    const dataset = await openDataset({ name: 'folder', split: 'all', root: folder });
    expect(dataset).toMatchObject({ size: 5, width: null, height: null });
    const first = (i: number): number[] => [...dataset.image(i).data.subarray(0, 3)];
    expect([first(0), first(1)]).toEqual([
      [10, 20, 30],
      [40, 50, 60],
    ]);
    expect(dataset.image(1)).toMatchObject({ width: 6, height: 7 });
    expect([first(2), first(3), first(4)]).toEqual([
      [77, 9, 9],
      [77, 77, 77],
      [77, 77, 77],
    ]);
  });

  it('holds every tenth image out where there are no split folders', async () => {
    const folder = join(root, 'plain');
    for (let i = 0; i < 12; i++) await paint(join(folder, `only/${String(i).padStart(2, '0')}.png`), [i, 0, 0]);
    const reds = async (split: string): Promise<number[]> => {
      const dataset = await openDataset({ name: 'folder', split, root: folder });
      return Array.from({ length: dataset.size }, (_, i) => dataset.image(i).data[0]!);
    };
    expect(await reds('val')).toEqual([0, 10]);
    expect(await reds('train')).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 11]);
    expect(await reds('all')).toHaveLength(12);
  });

  it('names the file that does not decode, and says what is missing', async () => {
    const folder = join(root, 'broken');
    await paint(join(folder, 'train/a/0.jpg'), [1, 2, 3], 40, 'jpeg');
    const bytes = readFileSync(join(folder, 'train/a/0.jpg'));
    writeFileSync(join(folder, 'train/a/1.jpg'), bytes.subarray(0, bytes.length - 60));
    const open = (split: string, where: string) => openDataset({ name: 'folder', split, root: where });
    await expect(open('train', folder)).rejects.toMatchObject({
      code: 'DATA_LOSS',
      resource: { type: 'file', name: join(folder, 'train/a/1.jpg') },
    });
    await expect(open('val', folder)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    mkdirSync(join(root, 'nothing'));
    await expect(open('train', join(root, 'nothing'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(open('train', join(root, 'absent'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    writeFileSync(join(root, 'text.zip'), 'no archive');
    await expect(open('train', join(root, 'text.zip'))).rejects.toMatchObject({ code: 'DATA_LOSS' });
  });
});
