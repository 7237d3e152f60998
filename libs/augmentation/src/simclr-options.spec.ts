import { isKindredError } from '@kindred/errors';
import { describe, expect, it } from 'vitest';
import { createSimclrPipeline, createStandardPipeline } from './pipelines.js';
import { resolveSimclrOptions, type SimclrOptions } from './simclr-options.js';

const crop = { size: 32, scale: [0.2, 1] };

describe('resolveSimclrOptions', () => {
  it('fills in the defaults of torchvision', () => {
    expect(resolveSimclrOptions({ random_resized_crop: { size: 32 } })).toEqual({
      size: 32,
      minArea: 0.08,
      maxArea: 1,
      jitterProbability: 0.5,
      brightness: 0,
      contrast: 0,
      saturation: 0,
      hue: 0,
      grayscaleProbability: 0.1,
    });
  });

  const wrong: [string, object][] = [
    ['random_resized_crop', {}],
    ['random_resized_crop.size', { random_resized_crop: { size: 0 } }],
    ['random_resized_crop.size', { random_resized_crop: { size: '32' } }],
    ['random_resized_crop.scale', { random_resized_crop: { size: 32, scale: [0, 1] } }],
    ['random_resized_crop.scale', { random_resized_crop: { size: 32, scale: [0.5, 0.2] } }],
    ['random_resized_crop.scale', { random_resized_crop: { size: 32, scale: 0.5 } }],
    ['color_jitter_random_apply.p', { random_resized_crop: crop, color_jitter_random_apply: { p: 1.1 } }],
    ['color_jitter.brightness', { random_resized_crop: crop, color_jitter: { brightness: -0.1 } }],
    ['color_jitter.contrast', { random_resized_crop: crop, color_jitter: { contrast: Number.NaN } }],
    ['color_jitter.saturation', { random_resized_crop: crop, color_jitter: { saturation: '1' } }],
    ['color_jitter.hue', { random_resized_crop: crop, color_jitter: { hue: 0.6 } }],
    ['random_grayscale.p', { random_resized_crop: crop, random_grayscale: { p: -1 } }],
  ];

  it.each(wrong)('names %s in %o', (field, options) => {
    let thrown: unknown;
    try {
      createSimclrPipeline(options as SimclrOptions);
      createStandardPipeline(options as SimclrOptions);
    } catch (error) {
      thrown = error;
    }
    expect(isKindredError(thrown, 'INVALID_ARGUMENT') && thrown.violations[0]?.field).toBe(field);
  });
});
