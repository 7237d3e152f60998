import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applySimclr } from './apply-simclr.js';
import { renderPortably } from './portable-view.js';
import { renderView } from './render-view.js';
import type { RgbImage } from './rgb-image.js';
import type { SimclrParameters } from './simclr-parameters.js';

const untouched: SimclrParameters = {
  crop: { top: 0, left: 0, height: 1, width: 1 },
  flip: false,
  jitter: false,
  jitter_order: [0, 1, 2, 3],
  brightness: null,
  contrast: null,
  saturation: null,
  hue: null,
  grayscale: false,
};

/** An image whose bytes keep the bits of `mask`: few bits make many ties between channels. */
function noise(height: number, width: number, salt: number, mask = 0xff): RgbImage {
  const data = Uint8Array.from(
    { length: height * width * 3 },
    (_, i) => (Math.imul(i + salt, 2654435761) >>> 24) & mask,
  );
  return { height, width, data };
}

/** Both ways' bytes, with five bytes around that nobody may touch. */
function bothWays(image: RgbImage, parameters: SimclrParameters, size: number): [Uint8Array, Uint8Array] {
  const [fast, portable] = [0, 0].map(() => new Uint8Array(size * size * 3 + 10).fill(77));
  expect(renderView(image, parameters, size, fast!, 5)).toBe(true);
  renderPortably(image, parameters, size, portable!, 5);
  return [fast!, portable!];
}

const side = fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 70 }));
const crops = fc.record({
  top: fc.nat(9),
  left: fc.nat(9),
  height: side,
  width: side,
  below: fc.nat(5),
  right: fc.nat(5),
});
const factor = fc.option(
  fc.oneof(fc.double({ min: 0, max: 2, noNaN: true }), fc.constantFrom(0, 1, 1e-40, 1e30, 1e300, Number.MAX_VALUE)),
);
const drawn = fc.record<Omit<SimclrParameters, 'crop'>>({
  flip: fc.boolean(),
  jitter: fc.boolean(),
  jitter_order: fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }),
  brightness: factor,
  contrast: factor,
  saturation: factor,
  hue: fc.option(fc.double({ min: -0.5, max: 0.5, noNaN: true })),
  grayscale: fc.boolean(),
});

describe('renderView', () => {
  it('makes the bytes of the portable code, whatever image, crop, size and parameters', () => {
    const mask = fc.constantFrom(0xff, 0xff, 0xe0, 0x80, 0);
    fc.assert(
      fc.property(crops, side, drawn, fc.nat(), mask, (box, size, parameters, salt, bits) => {
        const image = noise(box.top + box.height + box.below, box.left + box.width + box.right, salt, bits);
        const [fast, portable] = bothWays(image, { ...parameters, crop: box }, size);
        expect(Buffer.compare(fast, portable)).toBe(0);
      }),
      { numRuns: 2000 },
    );
  });

  const orders = [0, 1, 2, 3].flatMap((a) =>
    [0, 1, 2, 3].flatMap((b) => [0, 1, 2, 3].map((c) => [a, b, c, 6 - a - b - c])),
  );
  const permutations = orders.filter((order) => new Set(order).size === 4 && Math.min(...order) >= 0);

  it.each(permutations)('jitters in the order %i %i %i %i', (...order) => {
    const factors = { jitter: true, brightness: 1.31, contrast: 0.77, saturation: 1.22, hue: -0.083 };
    const crop = { top: 2, left: 1, height: 27, width: 24 };
    const [fast, portable] = bothWays(noise(32, 32, 5), { ...untouched, ...factors, jitter_order: order, crop }, 32);
    expect(Buffer.compare(fast, portable)).toBe(0);
  });

  it.each([
    [1, 1, 1],
    [1, 1, 224],
    [1, 900, 33],
    [900, 1, 33],
    [500, 375, 96],
    [375, 500, 224],
    [1000, 1000, 1],
    [97, 98, 97],
    [2000, 3000, 64],
  ])('resizes %i × %i to %i as the portable code', (height, width, size) => {
    const parameters = { ...untouched, crop: { top: 0, left: 0, height, width }, jitter: true, contrast: 1.4 };
    const [fast, portable] = bothWays(noise(height, width, 1), { ...parameters, flip: true }, size);
    expect(Buffer.compare(fast, portable)).toBe(0);
  });

  // The digests of color-operations in Pillow 13.0.0, as hue.spec.ts has them for the portable code.
  it.each<[string, Partial<SimclrParameters>, string]>([
    ['hue by -0.5', { hue: -0.5 }, 'f010532addf62c35'],
    ['hue by -0.1', { hue: -0.1 }, '02e28d28d6cce01c'],
    ['hue by 0', { hue: 0 }, '117f7237e5d272e1'],
    ['hue by 0.37', { hue: 0.37 }, '3566d1fbf53939c5'],
    ['saturation by 0.73', { saturation: 0.73 }, '781b71ef6e7d74f2'],
    ['saturation by 1.27', { saturation: 1.27 }, '98e3336346c897e7'],
    ['saturation by 3.9', { saturation: 3.9 }, '165ac45228b876fc'],
    ['grayscale', { grayscale: true }, '7a9ac148696cc08e'],
  ])('gives all 16,777,216 colours as Pillow does: %s', (_, parameters, digest) => {
    const hash = createHash('sha256');
    const crop = { top: 0, left: 0, height: 256, width: 256 };
    const image = { height: 256, width: 256, data: new Uint8Array(256 * 256 * 3) };
    const view = new Uint8Array(image.data.length);
    for (let red = 0; red < 256; red++) {
      for (let at = 0; at < image.data.length; at += 3) {
        image.data[at] = red;
        image.data[at + 1] = at / 3 / 256;
        image.data[at + 2] = at / 3;
      }
      renderView(image, { ...untouched, jitter: true, ...parameters, crop }, 256, view, 0);
      hash.update(view);
    }
    expect(hash.digest('hex').slice(0, 16)).toBe(digest);
  });

  it('leaves views of more than its memory to the portable code', () => {
    const size = 3000;
    const image = { height: 1, width: 1, data: Uint8Array.of(10, 20, 30) };
    const view = new Uint8Array(size * size * 3);
    expect(renderView(image, untouched, size, view, 0)).toBe(false);
    expect(view.every((value) => value === 0)).toBe(true);
    applySimclr(image, untouched, size, view);
    expect(view.every((value, i) => value === [10, 20, 30][i % 3])).toBe(true);
  });
});
