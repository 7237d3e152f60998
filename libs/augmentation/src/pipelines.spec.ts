import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applySimclr } from './apply-simclr.js';
import { createSimclrPipeline, createStandardPipeline } from './pipelines.js';
import { createStream } from './random-stream.js';
import { resolveSimclrOptions } from './simclr-options.js';
import { drawSimclrParameters } from './simclr-parameters.js';

const options = {
  random_resized_crop: { size: 16, scale: [0.2, 1] },
  color_jitter_random_apply: { p: 0.8 },
  color_jitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 },
  random_grayscale: { p: 0.2 },
};
const pairBytes = 2 * 16 * 16 * 3;

const images = fc
  .tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }), fc.integer())
  .map(([height, width, salt]) => ({
    height,
    width,
    data: Uint8Array.from({ length: height * width * 3 }, (_, i) => Math.imul(i + salt, 2654435761) >>> 24),
  }));
const keys = fc.record({ seed: fc.maxSafeNat(), epoch: fc.nat(1000), imageIndex: fc.nat(100_000) });

describe('createSimclrPipeline', () => {
  it('makes a pair the same whatever the batch, the order and the pipeline', () => {
    const busy = createSimclrPipeline(options);
    fc.assert(
      fc.property(fc.array(fc.tuple(images, keys), { minLength: 1, maxLength: 6 }), (batch) => {
        const out = new Uint8Array(batch.length * pairBytes);
        for (let i = batch.length - 1; i >= 0; i--) busy.viewPair(batch[i]![0], batch[i]![1], out, i * pairBytes);
        batch.forEach(([image, key], i) => {
          const alone = new Uint8Array(pairBytes);
          createSimclrPipeline(options).viewPair(image, key, alone, 0);
          expect(Buffer.compare(out.subarray(i * pairBytes, (i + 1) * pairBytes), alone)).toBe(0);
        });
      }),
      { numRuns: 60 },
    );
  });

  it('is drawing and applying, view by view, and leaves the image as it was', () => {
    const pipeline = createSimclrPipeline(options);
    fc.assert(
      fc.property(images, keys, (image, key) => {
        const before = Uint8Array.from(image.data);
        const pair = new Uint8Array(pairBytes);
        pipeline.viewPair(image, key, pair, 0);
        const views = [0, 1].map((view) => {
          const stream = createStream({ ...key, view });
          return applySimclr(
            image,
            drawSimclrParameters(stream, image.height, image.width, resolveSimclrOptions(options)),
            16,
          );
        });
        expect(Buffer.compare(Buffer.concat(views), pair)).toBe(0);
        expect(image.data).toEqual(before);
      }),
      { numRuns: 60 },
    );
  });

  it('refuses an image or a place that does not fit', () => {
    const pipeline = createSimclrPipeline(options);
    const key = { seed: 0, epoch: 0, imageIndex: 0 };
    const image = { height: 4, width: 4, data: new Uint8Array(48) };
    const out = new Uint8Array(pairBytes);
    expect(() => pipeline.viewPair(image, key, out, 1)).toThrow(/^offset: got 1; allowed: 0 to 0/);
    expect(() => pipeline.viewPair({ ...image, height: 5 }, key, out, 0)).toThrow(
      /^image.data: got 48 bytes; allowed: 60/,
    );
    expect(() => pipeline.viewPair(image, { ...key, epoch: -1 }, out, 0)).toThrow(/^epoch: got -1/);
  });

  it('refuses a box outside the image', () => {
    const stream = createStream({ seed: 0, epoch: 0, imageIndex: 0, view: 0 });
    const drawn = drawSimclrParameters(stream, 4, 4, resolveSimclrOptions(options));
    const image = { height: 4, width: 4, data: new Uint8Array(48) };
    const crop = { top: 0, left: 1, height: 4, width: 4 };
    expect(() => applySimclr(image, { ...drawn, crop }, 16)).toThrow(/^parameters.crop: got 4 × 4 pixels at \(0, 1\)/);
  });
});

describe('createStandardPipeline', () => {
  it('crops and flips without a change of colour', () => {
    const pipeline = createStandardPipeline(options);
    const data = new Uint8Array(20 * 20 * 3).map((_, i) => [200, 30, 90][i % 3]!);
    const out = new Uint8Array(pairBytes);
    for (let imageIndex = 0; imageIndex < 20; imageIndex++) {
      pipeline.viewPair({ height: 20, width: 20, data }, { seed: 1, epoch: 0, imageIndex }, out, 0);
      expect(out.every((value, i) => value === [200, 30, 90][i % 3])).toBe(true);
    }
  });
});
