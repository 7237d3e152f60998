// The losses against the slow formula of the paper, by analytic values and symmetries.
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { scanLoss } from './scan-loss.js';
import { selfLabelLoss } from './self-label-loss.js';
import { simclrLoss } from './simclr-loss.js';

describe('simclrLoss', () => {
  it('is the formula, summed term by term', () => {
    const [images, dim, temperature] = [5, 7, 0.3];
    const raw = tf.randomNormal([images, 2, dim], 0, 1, 'float32', 3) as tf.Tensor3D;
    const features = tf.div(raw, tf.norm(raw, 2, 2, true)) as tf.Tensor3D;
    const rows = features.arraySync();
    const dot = (a: number[] = [], b: number[] = []): number =>
      a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
    let total = 0;
    for (let i = 0; i < images; i++) {
      const anchor = rows[i]?.[0];
      let sum = 0;
      for (let k = 0; k < images; k++) {
        for (const view of [0, 1])
          if (!(k === i && view === 0)) sum += Math.exp(dot(anchor, rows[k]?.[view]) / temperature);
      }
      total -= Math.log(Math.exp(dot(anchor, rows[i]?.[1]) / temperature) / sum) / images;
    }
    expect(simclrLoss(features, temperature).dataSync()[0]).toBeCloseTo(total, 5);
  });

  it('is log(2b − 1) when all features are the same', () => {
    const same = tf.tile(tf.tensor3d([1, 0, 0], [1, 1, 3]), [6, 2, 1]) as tf.Tensor3D;
    expect(simclrLoss(same, 0.1).dataSync()[0]).toBeCloseTo(Math.log(11), 5);
  });

  it('does not depend on the order of the images, but on which view comes first', () => {
    const raw = tf.randomNormal([4, 2, 3], 0, 1, 'float32', 8) as tf.Tensor3D;
    const features = tf.div(raw, tf.norm(raw, 2, 2, true)) as tf.Tensor3D;
    const value = simclrLoss(features, 0.1).dataSync()[0] ?? 0;
    expect(simclrLoss(tf.reverse(features, 0), 0.1).dataSync()[0]).toBeCloseTo(value, 4);
    expect(Math.abs((simclrLoss(tf.reverse(features, 1), 0.1).dataSync()[0] ?? 0) - value)).toBeGreaterThan(1e-3);
  });

  it('leaves no tensors behind', () => {
    const features = tf.ones([3, 2, 4]) as tf.Tensor3D;
    const before = tf.memory().numTensors;
    simclrLoss(features, 1).dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('scanLoss', () => {
  it('is log(c) − λ·log(c) for uniform predictions', () => {
    const uniform = tf.zeros([4, 8]) as tf.Tensor2D;
    const { total, consistency, entropy } = scanLoss(uniform, uniform, 5);
    expect(consistency.dataSync()[0]).toBeCloseTo(Math.log(8), 5);
    expect(entropy.dataSync()[0]).toBeCloseTo(Math.log(8), 5);
    expect(total.dataSync()[0]).toBeCloseTo(-4 * Math.log(8), 4);
  });
});

describe('selfLabelLoss', () => {
  const confident = tf.tensor2d([20, 0, 0, 20, 0, 20, 0, 0, 0, 20, 0.1, 0], [4, 3]);

  it('counts confident rows only', () => {
    const strong = tf.zeros([4, 3]) as tf.Tensor2D;
    expect(selfLabelLoss(confident, strong, { threshold: 0.9 }).dataSync()[0]).toBeCloseTo(Math.log(3), 5);
    expect(() => selfLabelLoss(strong, strong, { threshold: 0.9 })).toThrow(
      expect.objectContaining({ code: 'FAILED_PRECONDITION' }),
    );
    expect(() => selfLabelLoss(strong, strong, { threshold: 1 })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });
});
