// The network's shapes, statistics and refusals on the portable operations; values are judged by the native library's golden spec.
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { createArchitecture } from './architecture.js';
import { initialParameters } from './initialisation.js';
import { tensorFlowShape, toTensorFlowLayout } from './layout.js';
import { checkImageSize, finalMapSide, forward } from './network.js';
import { portableOperations } from './operations.js';
import { checkStateDict, modelSpecification } from './specification.js';
import type { Architecture } from './architecture.js';

describe('forward', () => {
  it.each(['mlp', 'linear'] as const)('gives unit vectors with the %s head', (head) => {
    const architecture = createArchitecture({ width: 2, head, featureDim: 5 });
    const { backbone, embedding, updatedStatistics } = forward(architecture, tensors(architecture), images(3, 9, 11));
    expect(backbone.shape).toEqual([3, 16]);
    expect(embedding.shape).toEqual([3, 5]);
    for (const norm of tf.norm(embedding, 2, 1).dataSync()) expect(norm).toBeCloseTo(1, 5);
    expect(updatedStatistics).toEqual({});
  });

  it('without a head gives the backbone’s vector at unit length', () => {
    const architecture = createArchitecture({ width: 2, head: 'none', featureDim: 16 });
    const { backbone, embedding } = forward(architecture, tensors(architecture), images(2, 8, 8));
    const [vectors, units] = [backbone.dataSync(), embedding.dataSync()];
    for (const row of [0, 16]) {
      const norm = Math.hypot(...vectors.slice(row, row + 16));
      for (let i = row; i < row + 16; i++) expect(units[i]).toBeCloseTo((vectors[i] ?? NaN) / norm, 5);
    }
  });

  it('has the paper’s stem in the ImageNet form', () => {
    const architecture = createArchitecture({ form: 'imagenet', width: 2, featureDim: 5 });
    expect(modelSpecification(architecture)[0]?.shape).toEqual([2, 3, 7, 7]);
    expect(forward(architecture, tensors(architecture), images(2, 40, 64)).embedding.shape).toEqual([2, 5]);
    // Windows of 3 moved by 2, one zero before: those of 1…5 are {0, 1, 2}, {2, 3, 4}, {4, 5, 0}.
    const row = tf.tensor4d([1, 2, 3, 4, 5], [1, 1, 5, 1]);
    expect([...portableOperations.maxPool(row, 3, 2, 1).dataSync()]).toEqual([2, 4, 5]);
  });

  it('takes the batch into the running statistics when training', () => {
    const architecture = createArchitecture({ width: 1 });
    const parameters = tensors(architecture);
    const x = images(2, 8, 8);
    const { updatedStatistics } = forward(architecture, parameters, x, { training: true });
    expect(Object.keys(updatedStatistics)).toHaveLength(40);
    // By hand for the first layer: 0.9·old + 0.1·batch, the variance unbiased (PyTorch).
    const values = portableOperations
      .convolution(x, parameters['backbone.conv1.weight'] as tf.Tensor4D, 1, 1)
      .dataSync() as Float32Array;
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
    expect(updatedStatistics['backbone.bn1.running_mean']?.dataSync()[0]).toBeCloseTo(0.1 * mean, 5);
    expect(updatedStatistics['backbone.bn1.running_var']?.dataSync()[0]).toBeCloseTo(0.9 + 0.1 * variance, 5);
  });

  it('pads as PyTorch does at stride 2: one zero before, not after', () => {
    const x = tf.tensor4d([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], [1, 4, 4, 1]);
    const ones = tf.ones([3, 3, 1, 1]) as tf.Tensor4D;
    // Windows start at −1 and 1: their sums, written out.
    expect([...portableOperations.convolution(x, ones, 2, 1).dataSync()]).toEqual([14, 30, 57, 99]);
  });

  it('knows which image sizes a form takes', () => {
    const stl = createArchitecture({ form: 'stl', width: 1 });
    expect(finalMapSide(stl, 96)).toBe(7);
    expect(() => checkImageSize(stl, 96, 96)).not.toThrow();
    expect(() => checkImageSize(stl, 64, 96)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(finalMapSide(createArchitecture(), 32)).toBe(4);
    // He et al. 2016, table 1: 224 → 112 → 56 → 28 → 14 → 7.
    expect(finalMapSide(createArchitecture({ form: 'imagenet' }), 224)).toBe(7);
    expect(() => checkImageSize(createArchitecture(), 0, 32)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });

  it('names a parameter that is missing, superfluous or too long', () => {
    const architecture = createArchitecture({ width: 1 });
    const state = { ...initialParameters(architecture, 1) };
    expect(() => checkStateDict(architecture, state)).not.toThrow();
    expect(() => checkStateDict(architecture, { ...state, extra: new Float32Array(1) })).toThrow(/^extra/);
    expect(() => checkStateDict(architecture, { ...state, 'backbone.bn1.bias': new Float32Array(2) })).toThrow(
      /got 2 values; allowed: 1/,
    );
    delete (state as Record<string, Float32Array>)['contrastive_head.0.bias'];
    expect(() => checkStateDict(architecture, state)).toThrow(/^contrastive_head.0.bias: missing/);
  });
});

describe('createArchitecture', () => {
  it.each([
    { width: 0 },
    { width: 1.5 },
    { featureDim: -1 },
    { head: 'two' as never },
    { head: 'none' as const },
    { form: 'vgg' as never },
  ])('refuses %o', (options) => {
    expect(() => createArchitecture(options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});

function tensors(architecture: Architecture): Record<string, tf.Tensor> {
  const values = initialParameters(architecture, 1);
  return Object.fromEntries(
    modelSpecification(architecture).map(({ name, shape, kind }) => [
      name,
      tf.tensor(toTensorFlowLayout(values[name] as Float32Array, shape, kind), tensorFlowShape(shape, kind)),
    ]),
  );
}

function images(count: number, height: number, width: number): tf.Tensor4D {
  return tf.randomNormal([count, height, width, 3], 0, 1, 'float32', 4);
}
