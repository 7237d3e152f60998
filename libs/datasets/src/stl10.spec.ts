// STL-10 files written by hand: planes of columns, labels from 1.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { openDataset } from './index.js';

const side = 96;
const root = temporaryFolder('stl');
const valueAt = (image: number, channel: number, y: number, x: number): number =>
  (image * 97 + channel * 61 + y * 13 + x * 3) % 251;

function images(first: number, count: number): Buffer {
  const bytes = Buffer.alloc(count * 3 * side * side);
  let at = 0;
  for (let i = first; i < first + count; i++) {
    for (let c = 0; c < 3; c++)
      for (let x = 0; x < side; x++) for (let y = 0; y < side; y++) bytes[at++] = valueAt(i, c, y, x);
  }
  return bytes;
}

writeFileSync(join(root, 'train_X.bin'), images(0, 2));
writeFileSync(join(root, 'train_y.bin'), Buffer.from([1, 10]));
writeFileSync(join(root, 'unlabeled_X.bin'), images(2, 3));
writeFileSync(join(root, 'test_X.bin'), images(0, 2));
writeFileSync(join(root, 'test_y.bin'), Buffer.from([3]));

describe('STL-10', () => {
  it('turns columns to rows and joins unlabeled images with label -1', async () => {
    const dataset = await openDataset({ name: 'stl-10', split: 'train+unlabeled', root });
    expect([...dataset.labels]).toEqual([0, 9, -1, -1, -1]);
    for (let image = 0; image < 5; image++) {
      const { data } = dataset.image(image);
      for (const [y, x, c] of [
        [0, 95, 0],
        [95, 0, 2],
        [40, 7, 1],
      ] as const)
        expect(data[(y * side + x) * 3 + c]).toBe(valueAt(image, c, y, x));
    }
  });

  it('compares the number of labels with that of images', async () => {
    await expect(openDataset({ name: 'stl-10', split: 'test', root })).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringContaining('got 1 labels; expected 2'),
    });
  });
});
