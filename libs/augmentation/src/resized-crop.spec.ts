import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resizedCrop } from './resized-crop.js';
import type { RgbImage } from './rgb-image.js';

// SHA-256 (first 16 digits) of what Pillow 13.0.0 makes of `drawnImage`: [height, width, size, digest].
// They cover enlarging, shrinking, equal sides, single rows and columns, and both orders of the passes with their border.
const recorded: readonly [number, number, number, string][] = [
  [20, 31, 32, '69dca0a3160ee00d'],
  [31, 20, 32, '0e79cbecbb33b3d2'],
  [32, 32, 32, '732075cbc403f638'],
  [32, 20, 32, '9f8c7c1f85471e8f'],
  [20, 32, 32, '59625ee1ce4a6836'],
  [1, 1, 32, 'a0365e85e6627be3'],
  [1, 40, 32, '3c2ecb4a1cb4f9ae'],
  [40, 1, 32, '01f62467bbf9fe89'],
  [98, 97, 96, '12d973ca362175bc'],
  [99, 97, 96, 'f27ec8974aaef1e8'],
  [100, 98, 96, '0a287710bd314975'],
  [101, 98, 96, '2df7d601f16de90c'],
  [97, 48, 96, 'e82602c5451c481c'],
  [95, 200, 96, '7378d45727928efa'],
  [288, 192, 96, '9af558b6e34af930'],
  [289, 192, 96, '845686c1afff078d'],
  [375, 500, 96, '1fb6df053b0b3c20'],
  [500, 375, 96, '634dceaf13f15625'],
  [50, 50, 1, '5ee0482179b22382'],
  [3, 2, 5, '8c6f7a9fb067f667'],
  [640, 480, 224, 'a1d1e7bea2d4d8e4'],
];

function drawnImage(height: number, width: number): RgbImage {
  const data = new Uint8Array(height * width * 3);
  for (let i = 0; i < data.length; i++) data[i] = Math.imul(i, 2654435761) >>> 24;
  return { height, width, data };
}

describe('resizedCrop', () => {
  it.each(recorded)('%i × %i to %i is what Pillow makes', (height, width, size, digest) => {
    const out = new Uint8Array(size * size * 3);
    resizedCrop(drawnImage(height, width), { top: 0, left: 0, height, width }, size, false, out);
    expect(createHash('sha256').update(out).digest('hex').slice(0, 16)).toBe(digest);
  });

  const shapes = fc.record({
    height: fc.integer({ min: 1, max: 40 }),
    width: fc.integer({ min: 1, max: 40 }),
    top: fc.nat(9),
    left: fc.nat(9),
    size: fc.integer({ min: 1, max: 24 }),
  });

  it('sees nothing outside the box, and mirrors exactly', () => {
    const whole = drawnImage(50, 50);
    fc.assert(
      fc.property(shapes, ({ top, left, height, width, size }) => {
        const cut = new Uint8Array(height * width * 3);
        for (let y = 0; y < height; y++) {
          const from = ((top + y) * 50 + left) * 3;
          cut.set(whole.data.subarray(from, from + width * 3), y * width * 3);
        }
        const [inside, alone, mirrored] = [0, 0, 0].map(() => new Uint8Array(size * size * 3 + 5).fill(9));
        resizedCrop(whole, { top, left, height, width }, size, false, inside!, 2);
        resizedCrop({ height, width, data: cut }, { top: 0, left: 0, height, width }, size, false, alone!, 2);
        expect(inside).toEqual(alone);
        resizedCrop(whole, { top, left, height, width }, size, true, mirrored!, 2);
        const pixel = (data: Uint8Array, y: number, x: number) => [
          ...data.subarray(2 + (y * size + x) * 3, 5 + (y * size + x) * 3),
        ];
        for (let y = 0; y < size; y++) {
          for (let x = 0; x < size; x++) expect(pixel(mirrored!, y, size - 1 - x)).toEqual(pixel(inside!, y, x));
        }
        expect([...mirrored!.subarray(0, 2), ...mirrored!.subarray(-3)]).toEqual([9, 9, 9, 9, 9]);
      }),
      { numRuns: 60 },
    );
  });
});
