// SGD against its recurrence written out in numbers, input normalisation against torchvision's order of operations.
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { checkNormalisation, normalisePixels } from './normalisation.js';
import { resolveSgdOptions, sgdUpdate } from './sgd.js';

describe('sgdUpdate', () => {
  it.each([false, true])('follows the recurrence over steps and changing rates (nesterov %s)', (nesterov) => {
    const options = resolveSgdOptions({ momentum: 0.9, weightDecay: 0.1, nesterov });
    let [parameter, buffer]: [tf.Tensor, tf.Tensor] = [tf.tensor1d([2]), tf.tensor1d([0])];
    let [p, b] = [2, 0];
    [0.5, 0.25, 0.1].forEach((rate, step) => {
      const gradient = step + 1;
      ({ parameter, buffer } = sgdUpdate(parameter, buffer, tf.tensor1d([gradient]), tf.scalar(rate), options));
      const decayed = gradient + 0.1 * p;
      // PyTorch: the first buffer is the gradient itself.
      b = step === 0 ? decayed : 0.9 * b + decayed;
      p -= rate * (nesterov ? decayed + 0.9 * b : b);
      expect(parameter.dataSync()[0]).toBeCloseTo(p, 5);
      expect(buffer.dataSync()[0]).toBeCloseTo(b, 5);
    });
  });

  it('refuses impossible options', () => {
    for (const options of [
      { momentum: 1 },
      { momentum: -0.1 },
      { weightDecay: -1 },
      { nesterov: true },
      { weightDecay: Number.NaN },
    ]) {
      expect(() => resolveSgdOptions(options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    }
  });
});

describe('normalisePixels', () => {
  it('gives torchvision’s float32 values up to the last bits', () => {
    const normalisation = { mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.201] };
    const pixels = [0, 127, 255];
    const f = Math.fround;
    // torchvision divides; products with reciprocals round differently, by some 6e-8 of each term.
    const expected = pixels.map((value, channel) =>
      f(f(f(value / 255) - f(normalisation.mean[channel] ?? 0)) / f(normalisation.std[channel] ?? 1)),
    );
    const values = normalisePixels(tf.tensor4d(pixels, [1, 1, 1, 3]), normalisation).dataSync();
    expected.forEach((value, channel) => expect(Math.abs((values[channel] ?? NaN) - value)).toBeLessThan(1e-6));
  });

  it('refuses a wrong number of channels and zero deviations', () => {
    expect(() => checkNormalisation({ mean: [0, 0], std: [1, 1, 1] })).toThrow(/normalisation.mean/);
    expect(() => checkNormalisation({ mean: [0, 0, 0], std: [1, 0, 1] })).toThrow(/normalisation.std/);
  });
});
