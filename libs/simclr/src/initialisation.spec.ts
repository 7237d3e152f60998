// First values: the generator against its published vectors, distributions against their formulas, seeds.
import { describe, expect, it } from 'vitest';
import { createArchitecture } from './architecture.js';
import { initialMomentum, initialParameters } from './initialisation.js';
import { createNormalSource, philox4x32 } from './random.js';
import { modelSpecification, parameterSize } from './specification.js';

describe('philox4x32', () => {
  // Known answers of the authors' library (Random123, kat_vectors, philox4x32 10).
  it.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ])('gives the known answer for %o', (counter, key, expected) => {
    expect(philox4x32(counter as [number, number, number, number], key as [number, number])).toEqual(expected);
  });
});

describe('initialParameters', () => {
  const architecture = createArchitecture({ width: 16 });
  const parameters = initialParameters(architecture, 7);

  it('depends on the seed only', () => {
    expect(initialParameters(architecture, 7)).toEqual(parameters);
    const other = initialParameters(architecture, 2 ** 40 + 7)['backbone.conv1.weight'];
    expect(other).not.toEqual(parameters['backbone.conv1.weight']);
  });

  it('draws each kind as PyTorch does', () => {
    for (const { name, shape, kind } of modelSpecification(architecture)) {
      const values = parameters[name] ?? new Float32Array(0);
      expect(values).toHaveLength(parameterSize(shape));
      if (kind === 'convolution-weight') {
        // kaiming_normal_(mode='fan_out'): variance 2/(out·k²); the tolerance is four deviations of that estimate.
        const expected = 2 / ((shape[0] ?? 1) * (shape[2] ?? 1) ** 2);
        const variance = values.reduce((sum, value) => sum + value * value, 0) / values.length;
        expect(Math.abs(variance / expected - 1)).toBeLessThan(4 * Math.sqrt(2 / values.length));
      }
      if (kind === 'linear-weight') {
        const bound = 1 / Math.sqrt(shape[1] ?? 1);
        const largest = values.reduce((found, value) => Math.max(found, Math.abs(value)), 0);
        expect(largest).toBeLessThanOrEqual(Math.fround(bound));
        expect(largest).toBeGreaterThan(bound * 0.99);
      }
      if (kind === 'norm-weight' || kind === 'running-variance')
        expect(values.every((value) => value === 1)).toBe(true);
      if (kind === 'norm-bias' || kind === 'running-mean' || kind === 'batch-count')
        expect(values.every((value) => value === 0)).toBe(true);
    }
    const bias = parameters['contrastive_head.2.bias'] ?? new Float32Array(0);
    expect(Math.max(...bias.map(Math.abs))).toBeLessThanOrEqual(Math.fround(1 / Math.sqrt(128)));
    expect(Math.max(...bias.map(Math.abs))).toBeGreaterThan(0);
  });

  it('has momentum for what is trained', () => {
    const trained = modelSpecification(architecture).filter(({ trainable }) => trainable);
    expect(Object.keys(initialMomentum(architecture))).toEqual(trained.map(({ name }) => name));
  });
});

describe('createNormalSource', () => {
  it('has mean 0, variance 1 and the normal’s fourth moment', () => {
    const draw = createNormalSource(1, 2);
    const count = 200_000;
    const moments = [0, 0, 0];
    for (let i = 0; i < count; i++) {
      const value = draw();
      [value, value ** 2, value ** 4].forEach(
        (power, index) => (moments[index] = (moments[index] ?? 0) + power / count),
      );
    }
    expect(moments[0]).toBeCloseTo(0, 2);
    expect(moments[1]).toBeCloseTo(1, 1);
    expect(Math.abs((moments[2] ?? 0) - 3)).toBeLessThan(0.1);
  });
});
