// The fused BatchNorm against the portable one: values, running statistics and all gradients.
import { portableOperations } from '@kindred/simclr';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { fusedBatchNorm, suitsFusedBatchNorm } from './batch-norm.js';
import { loadTensorFlow } from './runtime.js';
import { largestDifference } from './spec/golden-weights.js';
import type { NormTensors } from '@kindred/simclr';

const { backend, winograd } = loadTensorFlow();

// float32 sums over some thousand rows; the portable form is the less exact one.
const tolerance = 5e-5;

describe.runIf(winograd !== null)('fused BatchNorm', () => {
  it.each([
    [2, 3, 5, 16, 0],
    [8, 9, 7, 48, 3],
    [64, 8, 8, 64, -20],
    [30, 13, 11, 80, 0],
  ])('equals the portable one for %i maps of %i×%i×%i with mean %f', (n, height, width, channels, mean) => {
    const shape: [number, number, number, number] = [n, height, width, channels];
    const x = tf.randomNormal(shape, mean, 2, 'float32', 3) as tf.Tensor4D;
    const residual = tf.randomNormal(shape, 0, 1, 'float32', 4) as tf.Tensor4D;
    const noise = tf.randomNormal(shape, 0, 1, 'float32', 5);
    const row = (seed: number, centre: number): tf.Tensor1D =>
      tf.randomNormal([channels], centre, 0.4, 'float32', seed) as tf.Tensor1D;
    const norm: NormTensors = {
      scale: row(6, 1),
      offset: row(7, 0),
      runningMean: row(8, mean),
      runningVariance: tf.square(row(9, 1)),
    };
    for (const added of [null, residual]) {
      // Within rounding of 0 the two may see the ReLU from different sides: no gradient comes in there.
      const plain = portableOperations.batchNorm(x, norm, true).output;
      const sure = tf.greater(tf.abs(added === null ? plain : tf.add(plain, added)), 1e-4);
      const weights = tf.mul(noise, tf.cast(sure, 'float32'));
      const run = (fused: boolean): Float32Array[] => {
        let statistics: tf.Tensor[] = [];
        let output: tf.Tensor | null = null;
        const loss = (...[map, scale, offset, other]: tf.Tensor[]): tf.Scalar => {
          const layer = { ...norm, scale: scale as tf.Tensor1D, offset: offset as tf.Tensor1D };
          const image = map as tf.Tensor4D;
          const sum = other === undefined ? null : (other as tf.Tensor4D);
          const result = fused
            ? fusedBatchNorm(backend, image, layer, sum)
            : sum === null
              ? portableOperations.batchNormRelu(image, layer, true)
              : portableOperations.batchNormAddRelu(image, layer, sum, true);
          statistics = [result.runningMean, result.runningVariance].map((tensor) => tf.keep(tensor));
          output = tf.keep(result.output);
          return tf.sum(tf.mul(result.output, weights));
        };
        const inputs = [x, norm.scale, norm.offset, ...(added === null ? [] : [added])];
        const { grads } = tf.valueAndGrads(loss)(inputs);
        return [output as unknown as tf.Tensor, ...statistics, ...grads].map((t) => t.dataSync() as Float32Array);
      };
      const [own, judge] = [run(true), run(false)];
      expect(own).toHaveLength(added === null ? 6 : 7);
      judge.forEach((expected, index) => {
        const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-3);
        expect(largestDifference(own[index] ?? [], expected) / scale, `result ${index}`).toBeLessThan(tolerance);
      });
    }
  });

  it('passes NaN on, so that an overflow is seen', () => {
    const x = tf.fill([1, 2, 2, 16], Number.NaN) as tf.Tensor4D;
    const ones = tf.ones([16]) as tf.Tensor1D;
    const layer = { scale: ones, offset: ones, runningMean: ones, runningVariance: ones };
    const { output } = fusedBatchNorm(backend, x, layer, null);
    expect(output.dataSync().every(Number.isNaN)).toBe(true);
  });

  it('refuses what it cannot do, and leaves the process whole', () => {
    const run = (op: string, inputs: tf.Tensor[], outputs: number) => () =>
      backend.executeMultipleOutputs(op, [{ name: 'epsilon', type: 2, value: 1e-5 }], inputs, outputs);
    const [x, row] = [tf.zeros([1, 2, 2, 16]), tf.zeros([16])];
    expect(run('KindredNormRelu', [tf.zeros([1, 2, 2, 8]), tf.zeros([8]), tf.zeros([8])], 4)).toThrow(/multiple of 16/);
    expect(run('KindredNormRelu', [tf.zeros([0, 2, 2, 16]), row, row], 4)).toThrow(/hold something/);
    expect(run('KindredNormRelu', [x, row, tf.zeros([15])], 4)).toThrow(/arrays \[c\]/);
    expect(run('KindredNormAddRelu', [x, row, row, tf.zeros([1, 2, 3, 16])], 4)).toThrow(/residual/);
  });

  it('is for channels in multiples of 16', () => {
    expect([16, 48, 8, 24].map((channels) => suitsFusedBatchNorm([1, 1, 1, channels]))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });
});
