import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { adjustSaturation } from './blend.js';
import { adjustHue, hueShift } from './hue.js';
import { toGrayscale } from './luma.js';

/** Every 24-bit colour once, in ascending order. */
function everyColour(): Uint8Array {
  const pixels = new Uint8Array(2 ** 24 * 3);
  for (let colour = 0, at = 0; colour < 2 ** 24; colour++, at += 3) {
    pixels[at] = colour >> 16;
    pixels[at + 1] = colour >> 8;
    pixels[at + 2] = colour;
  }
  return pixels;
}

// SHA-256 (first 16 digits) of all colours after the operation in Pillow 13.0.0, hue with torchvision's shift.
describe('all 16,777,216 colours, as Pillow makes them', () => {
  const digest = (operation: (pixels: Uint8Array) => void): string => {
    const pixels = everyColour();
    operation(pixels);
    return createHash('sha256').update(pixels).digest('hex').slice(0, 16);
  };

  it.each([
    [-0.5, 'f010532addf62c35'],
    [-0.1, '02e28d28d6cce01c'],
    [0, '117f7237e5d272e1'],
    [0.37, '3566d1fbf53939c5'],
  ])('hue by %f', (factor, expected) => expect(digest((pixels) => adjustHue(pixels, factor))).toBe(expected));

  it.each([
    [0.73, '781b71ef6e7d74f2'],
    [1.27, '98e3336346c897e7'],
    [3.9, '165ac45228b876fc'],
  ])('saturation by %f', (factor, expected) =>
    expect(digest((pixels) => adjustSaturation(pixels, factor))).toBe(expected),
  );

  it('grayscale', () => expect(digest(toGrayscale)).toBe('7a9ac148696cc08e'));
});

describe('hueShift', () => {
  it.each([
    [0, 0],
    [0.1, 25],
    [-0.1, 231],
    [0.5, 127],
    [-0.5, 129],
    [-0.003, 0],
  ])('%f of the circle adds %i', (factor, shift) => expect(hueShift(factor)).toBe(shift));
});
