// Our own convolutions against TensorFlow's, in values and both gradients, at sizes where tiles fit and where they do not.
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { compile } from './compile.js';
import { convolution, suitsWinograd, winogradConvolution } from './convolution.js';
import { attribute } from './native.js';
import { loadTensorFlow } from './runtime.js';
import { largestDifference } from './spec/golden-weights.js';
import type { Execute } from './execution.js';
import type { OpAttribute } from './native.js';
import type { FrozenValues } from './program-definition.js';

const runtime = loadTensorFlow();
const { backend, winograd } = runtime;
const one: Execute = (op, attributes, inputs) => backend.executeSingleOutput(op, attributes, inputs);

// Sums of up to 9·160 products in another order, and the transformation's own rounding.
const tolerance = 2e-6;

describe.runIf(winograd !== null)('Winograd convolutions', () => {
  it.each([
    [2, 4, 4, 32, 32],
    [3, 5, 7, 32, 64],
    [1, 1, 1, 64, 32],
    [9, 3, 2, 96, 32],
    [5, 6, 9, 32, 160],
    [70, 8, 8, 64, 64],
  ])('equal TensorFlow’s for %i maps of %i×%i, %i to %i channels', (images, height, width, inputs, outputs) => {
    const x = tf.randomNormal([images, height, width, inputs], 0, 1, 'float32', 5) as tf.Tensor4D;
    const kernel = tf.randomNormal([3, 3, inputs, outputs], 0, 1, 'float32', 6) as tf.Tensor4D;
    const weights = tf.randomNormal([images, height, width, outputs], 0, 1, 'float32', 7);
    const run = (convolve: (input: tf.Tensor4D, filter: tf.Tensor4D) => tf.Tensor4D): Float32Array[] => {
      const loss = (input: tf.Tensor, filter: tf.Tensor): tf.Scalar =>
        tf.sum(tf.mul(convolve(input as tf.Tensor4D, filter as tf.Tensor4D), weights));
      const { grads } = tf.valueAndGrads(loss)([x, kernel]);
      return [convolve(x, kernel), ...grads].map((tensor) => tensor.dataSync() as Float32Array);
    };
    const own = run((input, filter) => winogradConvolution(one, input, filter));
    const judge = run((input, filter) => convolution(one, input, filter, 1, 1, 'cpu'));
    judge.forEach((expected, index) => {
      const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
      expect(largestDifference(own[index] ?? [], expected) / scale).toBeLessThan(tolerance);
    });
  });

  it.each([
    [2, 4, 4, 32, 32],
    [3, 5, 7, 32, 64],
    [1, 1, 1, 64, 32],
    [9, 3, 2, 96, 32],
    [5, 6, 9, 32, 160],
    [40, 9, 8, 64, 64],
  ])('by wide tiles with their ending equal TensorFlow’s for %i maps of %i×%i, %i to %i', (n, height, width, c, k) => {
    const x = tf.randomNormal([n, height, width, c], 0, 1, 'float32', 8) as tf.Tensor4D;
    const kernel = tf.randomNormal([3, 3, c, k], 0, 1, 'float32', 9) as tf.Tensor4D;
    const bias = tf.randomNormal([k], 0, 1, 'float32', 10) as tf.Tensor1D;
    const residual = tf.randomNormal([n, height, width, k], 0, 1, 'float32', 11);
    const form = (relu: boolean): OpAttribute[] => [attribute.bool('relu', relu), attribute.bool('wide', true)];
    const values = (tensor: tf.Tensor): Float32Array => tensor.dataSync() as Float32Array;
    const kept = (tensor: tf.Tensor): FrozenValues => ({ shape: tensor.shape, values: values(tensor) });
    // A graph of its own: a frozen filter stays with its node, and outside of graphs nodes of one form are one.
    const program = compile(runtime, {
      state: {},
      frozen: { kernel: kept(kernel), bias: kept(bias) },
      functions: {
        run: {
          inputs: { x: { dtype: 'float32', shape: x.shape }, residual: { dtype: 'float32', shape: residual.shape } },
          call: (state, inputs) => {
            const given = [inputs['x'], state['kernel'], state['bias']] as tf.Tensor[];
            const added = [...given, inputs['residual'] as tf.Tensor];
            return {
              outputs: {
                plain: one('KindredFrozenConvolution', form(false), given),
                relu: one('KindredFrozenConvolution', form(true), given),
                added: one('KindredFrozenConvolutionAdd', form(true), added),
              },
            };
          },
        },
      },
    });
    const own = program.functions['run']?.(
      { x: values(x), residual: values(residual) },
      { x: x.shape, residual: residual.shape },
    );
    const plain = tf.add(convolution(one, x, kernel, 1, 1, 'cpu'), bias);
    const judges = { plain, relu: tf.relu(plain), added: tf.relu(tf.add(plain, residual)) };
    for (const [name, judge] of Object.entries(judges)) {
      const scale = values(tf.max(tf.abs(judge)))[0] ?? 0;
      const difference = largestDifference(own?.[name]?.values as Float32Array, values(judge));
      // 4e-6 of the largest value was the most over sums of 9·512 products; here they are of up to 9·96.
      expect(difference / scale).toBeLessThan(5e-6);
    }
    program.dispose();
  });

  it('refuse what they cannot do, and leave the process whole', () => {
    const x = tf.zeros([1, 4, 4, 8]);
    const filter = tf.zeros([3, 3, 8, 32]);
    expect(() => one('KindredConvolution', [], [x, filter])).toThrow(/multiples of 32/);
    expect(() => one('KindredConvolution', [], [tf.zeros([4]), filter])).toThrow(/rank 4/);
    const empty = tf.zeros([0, 4, 4, 32]);
    expect(() => one('KindredConvolutionFilterGradient', [], [empty, empty])).toThrow(/hold something/);
    const nothing = [tf.zeros([1, 4, 4, 0]), tf.zeros([3, 3, 0, 32])];
    expect(() => one('KindredConvolution', [], nothing)).toThrow(/multiples of 32/);
    expect(() => one('KindredConvolutionInputGradient', [], [x, tf.zeros([3, 3, 32, 32])])).toThrow(/multiples of 32/);
    expect(() => one('KindredConvolutionFilterGradient', [], [x, tf.zeros([1, 4, 5, 8])])).toThrow(/multiples of 32/);
  });
});

describe('a convolution with stride and padding', () => {
  it.each([
    [9, 8, 3, 1],
    [8, 8, 3, 1],
    [19, 18, 7, 3],
  ])(
    'of %i×%i pixels, kernel %i, padding %i: both forms of its gradients are equal',
    (height, width, size, padding) => {
      const x = tf.randomNormal([4, height, width, 16], 0, 1, 'float32', 5) as tf.Tensor4D;
      const kernel = tf.randomNormal([size, size, 16, 8], 0, 1, 'float32', 6) as tf.Tensor4D;
      const gradients = (form: 'cpu' | 'gpu'): Float32Array[] => {
        const loss = (input: tf.Tensor, filter: tf.Tensor): tf.Scalar => {
          const y = convolution(one, input as tf.Tensor4D, filter as tf.Tensor4D, 2, padding, form);
          // Not a plain sum: its gradient would be the same everywhere.
          return tf.sum(tf.mul(y, y));
        };
        return tf
          .valueAndGrads(loss)([x, kernel])
          .grads.map((tensor) => tensor.dataSync() as Float32Array);
      };
      const judge = gradients('cpu');
      gradients('gpu').forEach((values, index) => {
        const expected = judge[index] ?? new Float32Array(0);
        const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
        expect(largestDifference(values, expected) / scale).toBeLessThan(tolerance);
      });
    },
  );
});

describe('suitsWinograd', () => {
  it.each([
    [[3, 3, 32, 64], 1, 1, true],
    [[3, 3, 32, 64], 2, 1, false],
    [[3, 3, 32, 64], 1, 0, false],
    [[1, 1, 32, 64], 1, 0, false],
    [[3, 3, 3, 64], 1, 1, false],
    [[3, 3, 32, 48], 1, 1, false],
  ])('kernel %j, stride %i, padding %i: %s', (kernel, stride, padding, expected) => {
    expect(suitsWinograd(kernel, stride, padding)).toBe(expected);
  });
});
