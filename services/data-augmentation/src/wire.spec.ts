import { Split } from '@kindred/protocol/augmentation';
import { describe, expect, it } from 'vitest';
import type { SplitName } from './dataset-key.js';
import type { Transformation } from './transformation.js';
import { datasetKeyFromWire, datasetKeyToWire, transformationFromWire, transformationToWire } from './wire.js';

const options = {
  size: 32,
  minArea: 0.2,
  maxArea: 1,
  jitterProbability: 0.8,
  brightness: 0.4,
  contrast: 0.4,
  saturation: 0.4,
  hue: 0.1,
  grayscaleProbability: 0.2,
};

describe('wire', () => {
  it('keeps a dataset key on its way out and back', () => {
    for (const split of ['train', 'validation', 'unlabeled', 'train+unlabeled'] satisfies SplitName[]) {
      const key = { name: 'stl-10', split, root: '/data', drawnSize: 5, drawnSeed: 2 ** 53 - 1 };
      expect(datasetKeyFromWire(datasetKeyToWire(key))).toEqual(key);
    }
    const unspecified = { name: 'drawn', split: Split.UNSPECIFIED, root: '', drawnSize: 0, drawnSeed: 0n };
    expect(datasetKeyFromWire(unspecified).split).toBe('train');
  });

  it('keeps a transformation on its way out and back', () => {
    const both: Transformation[] = [
      { kind: 'simclr', options },
      { kind: 'evaluation', cropSize: 28 },
    ];
    for (const transformation of both) {
      expect(transformationFromWire(transformationToWire(transformation))).toEqual(transformation);
    }
  });

  it.each([
    ['size', { size: 0 }],
    ['size', { size: 1025 }],
    ['min_scale', { minArea: 0 }],
    ['min_scale', { minArea: 0.9, maxArea: 0.5 }],
    ['max_scale', { maxArea: 1.01 }],
    ['jitter_probability', { jitterProbability: NaN }],
    ['brightness', { brightness: -1 }],
    ['contrast', { contrast: Infinity }],
    ['hue', { hue: 0.51 }],
    ['grayscale_probability', { grayscaleProbability: 2 }],
  ])('names simclr.%s when it is out of range', (field, change) => {
    const wire = transformationToWire({ kind: 'simclr', options: { ...options, ...change } });
    expect(() => transformationFromWire(wire)).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        violations: [expect.objectContaining({ field: `transformation.simclr.${field}` })],
      }),
    );
  });
});
