import { readGoldenJson } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { createStream } from './random-stream.js';
import { resolveSimclrOptions } from './simclr-options.js';
import { drawCropBox, drawSimclrParameters, roundHalfEven } from './simclr-parameters.js';

interface CropDistribution {
  readonly draws: number;
  readonly quantiles: number[];
  readonly area: number[];
  readonly aspect: number[];
  readonly area_mean: number;
  readonly aspect_mean: number;
}

const jitter = { brightness: 0.4, contrast: 0.3, saturation: 1.5, hue: 0.1 };
const options = resolveSimclrOptions({
  random_resized_crop: { size: 32, scale: [0.2, 1] },
  color_jitter_random_apply: { p: 0.8 },
  color_jitter: jitter,
  random_grayscale: { p: 0.2 },
});

describe('drawCropBox', () => {
  it('has the recorded distribution of torchvision on 32 × 32 images', () => {
    const recorded = readGoldenJson<CropDistribution>('crop-distribution');
    const stream = createStream({ seed: 11, epoch: 0, imageIndex: 0, view: 0 });
    const boxes = Array.from({ length: recorded.draws }, () => drawCropBox(stream, 32, 32, 0.2, 1));
    const areas = boxes.map((box) => (box.height * box.width) / 1024).sort((a, b) => a - b);
    const aspects = boxes.map((box) => box.width / box.height).sort((a, b) => a - b);
    const quantile = (sorted: number[], q: number) => sorted[Math.round(q * (sorted.length - 1))]!;
    recorded.quantiles.forEach((q, i) => {
      expect(Math.abs(quantile(areas, q) - recorded.area[i]!)).toBeLessThan(0.02);
      expect(Math.abs(quantile(aspects, q) - recorded.aspect[i]!)).toBeLessThan(0.02);
    });
    const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
    expect(Math.abs(mean(areas) - recorded.area_mean)).toBeLessThan(0.01);
    expect(Math.abs(mean(aspects) - recorded.aspect_mean)).toBeLessThan(0.01);
    for (const { top, left, height, width } of boxes) {
      expect(top >= 0 && left >= 0 && top + height <= 32 && left + width <= 32).toBe(true);
    }
    expect(new Set(boxes.filter((box) => box.width === 20).map((box) => box.left)).size).toBe(13);
  });

  it('tries ten boxes that do not fit, as torchvision does, each of an area and a ratio, then draws no more', () => {
    const drawn: [number, number][] = [];
    const stream = createStream({ seed: 1, epoch: 0, imageIndex: 0, view: 0 });
    stream.uniformIn = (low, high) => {
      drawn.push([low, high]);
      return high;
    };
    // A box of the whole area and of ratio 4/3 is wider than a square.
    expect(drawCropBox(stream, 32, 32, 0.9, 1)).toEqual({ top: 0, left: 0, height: 32, width: 32 });
    expect(drawn.filter(([low, high]) => low === 0.9 && high === 1)).toHaveLength(10);
    expect(drawn).toHaveLength(20);
  });

  it.each([
    [10, 400, { top: 0, left: 193, height: 10, width: 13 }],
    [400, 10, { top: 193, left: 0, height: 13, width: 10 }],
    [1, 9, { top: 0, left: 4, height: 1, width: 1 }],
  ])('falls back to the centre of an image of %i × %i', (height, width, box) => {
    const stream = createStream({ seed: 1, epoch: 0, imageIndex: 0, view: 0 });
    expect(drawCropBox(stream, height, width, 0.9, 1)).toEqual(box);
  });
});

describe('drawSimclrParameters', () => {
  const stream = createStream({ seed: 2, epoch: 0, imageIndex: 0, view: 0 });
  const drawn = Array.from({ length: 20_000 }, () => drawSimclrParameters(stream, 32, 32, options));
  const share = (test: (parameters: (typeof drawn)[number]) => boolean) => drawn.filter(test).length / drawn.length;

  it('flips, jitters and turns gray as often as it should', () => {
    // Five standard deviations of a share of 20,000.
    expect(Math.abs(share((p) => p.flip) - 0.5)).toBeLessThan(0.018);
    expect(Math.abs(share((p) => p.jitter) - 0.8)).toBeLessThan(0.015);
    expect(Math.abs(share((p) => p.grayscale) - 0.2)).toBeLessThan(0.015);
    expect(Math.abs(share((p) => p.jitter_order[0] === 3) - 0.25)).toBeLessThan(0.016);
  });

  it.each([
    ['brightness', 0.6, 1.4],
    ['contrast', 0.7, 1.3],
    ['saturation', 0, 2.5],
    ['hue', -0.1, 0.1],
  ] as const)('draws %s from all of [%f, %f]', (name, low, high) => {
    const values = drawn.map((p) => p[name]!);
    const slack = (high - low) / 500;
    expect(Math.min(...values)).toBeGreaterThanOrEqual(low);
    expect(Math.min(...values)).toBeLessThan(low + slack);
    expect(Math.max(...values)).toBeLessThanOrEqual(high);
    expect(Math.max(...values)).toBeGreaterThan(high - slack);
  });

  it('leaves a step of strength 0 out', () => {
    const plain = resolveSimclrOptions({
      random_resized_crop: { size: 8 },
      color_jitter: { ...jitter, hue: 0, contrast: 0 },
    });
    const parameters = drawSimclrParameters(stream, 32, 32, plain);
    expect(parameters).toMatchObject({ hue: null, contrast: null });
    expect(parameters.brightness).not.toBeNull();
  });
});

describe('roundHalfEven', () => {
  it.each([
    [0.5, 0],
    [1.5, 2],
    [2.5, 2],
    [2.4999, 2],
    [2.5001, 3],
    [7, 7],
  ])('%f becomes %i', (value, rounded) => expect(roundHalfEven(value)).toBe(rounded));
});
