// The network's operations on TensorFlow's own kernels, with their gradients: what tfjs spells out in a dozen steps is one here.
import * as tf from '@tensorflow/tfjs-core';
import { portableOperations } from '@kindred/simclr';
import type { NetworkOperations } from '@kindred/simclr';
import { batchNorm, fusedBatchNorm, suitsFusedBatchNorm } from './batch-norm.js';
import { convolution, suitsWinograd, winogradConvolution } from './convolution.js';
import { float, layout } from './execution.js';
import { attribute } from './native.js';
import type { Execute, GradSave, WithGradient } from './execution.js';
import type { NativeBackend } from './native.js';
import type { TensorFlowRuntime } from './runtime.js';

/**
 * The native operations. In training, `batchNorm` and `batchNormRelu` return running statistics that are kept (`tf.keep`)
 * beyond the surrounding tidy: the caller disposes of them.
 */
export function createNativeOperations({
  backend,
  winograd,
  device,
}: Pick<TensorFlowRuntime, 'backend' | 'winograd' | 'device'>): NetworkOperations {
  const one: Execute = (op, attributes, inputs) => backend.executeSingleOutput(op, attributes, inputs);
  const fused = (x: tf.Tensor4D, training: boolean): boolean =>
    training && winograd !== null && suitsFusedBatchNorm(x.shape);

  return {
    ...portableOperations,
    convolution: (x, kernel, stride, padding) =>
      winograd !== null && suitsWinograd(kernel.shape, stride, padding)
        ? winogradConvolution(one, x, kernel)
        : convolution(one, x, kernel, stride, padding, device),
    batchNorm: (x, norm, training) => batchNorm(backend, x, norm, training, false),
    batchNormRelu: (x, norm, training) =>
      fused(x, training) ? fusedBatchNorm(backend, x, norm, null) : batchNorm(backend, x, norm, training, true),
    batchNormAddRelu(x, norm, residual, training) {
      if (fused(x, training)) return fusedBatchNorm(backend, x, norm, residual);
      const result = batchNorm(backend, x, norm, training, false);
      return { ...result, output: addRelu(one, result.output, residual) };
    },
    averagePool: (x) => averagePool(one, x),
    linear: (x, weight, bias) => linear(one, x, weight, bias),
    relu(x) {
      const operation = tf.customGrad((input, save) => {
        const y = one('Relu', [float], [input as tf.Tensor]);
        (save as GradSave)([y]);
        const gradFunc: WithGradient['gradFunc'] = (dy, [output]) => [
          one('ReluGrad', [float], [dy, output as tf.Tensor]),
        ];
        return { value: y, gradFunc } as WithGradient;
      });
      return operation(x) as tf.Tensor2D;
    },
    normaliseRows: (x) => normaliseRows(one, x),
  };
}

/** Turns uint8 pixels (a tensor that tfjs takes for int32) into float32. */
export function castPixels(backend: NativeBackend, pixels: tf.Tensor): tf.Tensor4D {
  const attributes = [
    attribute.type('SrcT', 'uint8'),
    attribute.type('DstT', 'float32'),
    attribute.bool('Truncate', false),
  ];
  return backend.executeSingleOutput('Cast', attributes, [pixels]) as tf.Tensor4D;
}

/** relu(a + b). */
function addRelu(one: Execute, a: tf.Tensor4D, b: tf.Tensor4D): tf.Tensor4D {
  const operation = tf.customGrad((first, second, save) => {
    const y = one('Relu', [float], [one('AddV2', [float], [first as tf.Tensor, second as tf.Tensor])]);
    (save as GradSave)([y]);
    const gradFunc: WithGradient['gradFunc'] = (dy, [output]) => {
      const gradient = one('ReluGrad', [float], [dy, output as tf.Tensor]);
      return [gradient, gradient];
    };
    return { value: y, gradFunc } as WithGradient;
  });
  return operation(a, b) as tf.Tensor4D;
}

function averagePool(one: Execute, x: tf.Tensor4D): tf.Tensor2D {
  const reduce = [float, attribute.type('Tidx', 'int32'), attribute.bool('keep_dims', false)];
  const operation = tf.customGrad((input) => {
    const [n, height, width, channels] = (input as tf.Tensor4D).shape;
    const gradFunc: WithGradient['gradFunc'] = (dy) => {
      const share = tf.reshape(tf.mul(dy, tf.scalar(1 / (height * width))), [n, 1, 1, channels]);
      const shape = tf.tensor1d([n, height, width, channels], 'int32');
      return [one('BroadcastTo', [float, attribute.type('Tidx', 'int32')], [share, shape])];
    };
    return { value: one('Mean', reduce, [input as tf.Tensor, tf.tensor1d([1, 2], 'int32')]), gradFunc } as WithGradient;
  });
  return operation(x) as tf.Tensor2D;
}

function linear(one: Execute, x: tf.Tensor2D, weight: tf.Tensor2D, bias: tf.Tensor1D): tf.Tensor2D {
  const product = (a: tf.Tensor, b: tf.Tensor, transposeA: boolean, transposeB: boolean): tf.Tensor =>
    one(
      'MatMul',
      [float, attribute.bool('transpose_a', transposeA), attribute.bool('transpose_b', transposeB)],
      [a, b],
    );
  const operation = tf.customGrad((input, matrix, offset, save) => {
    (save as GradSave)([input as tf.Tensor, matrix as tf.Tensor]);
    const gradFunc: WithGradient['gradFunc'] = (dy, [savedInput, savedMatrix]) => [
      product(dy, savedMatrix as tf.Tensor, false, true),
      product(savedInput as tf.Tensor, dy, true, false),
      one('BiasAddGrad', [float, layout], [dy]),
    ];
    const value = one(
      'BiasAdd',
      [float, layout],
      [product(input as tf.Tensor, matrix as tf.Tensor, false, false), offset as tf.Tensor],
    );
    return { value, gradFunc } as WithGradient;
  });
  return operation(x, weight, bias) as tf.Tensor2D;
}

/** Rows over their norms; the gradient is (dy − y·⟨y, dy⟩)/norm, exact for norms of 1e-12 and above. */
function normaliseRows(one: Execute, x: tf.Tensor2D): tf.Tensor2D {
  const rowSum = (values: tf.Tensor): tf.Tensor =>
    one(
      'Sum',
      [float, attribute.type('Tidx', 'int32'), attribute.bool('keep_dims', true)],
      [values, tf.tensor1d([1], 'int32')],
    );
  const operation = tf.customGrad((input, save) => {
    const rows = input as tf.Tensor;
    const norms = one(
      'Maximum',
      [float],
      [one('Sqrt', [float], [rowSum(one('Square', [float], [rows]))]), tf.scalar(1e-12)],
    );
    const y = one('RealDiv', [float], [rows, norms]);
    (save as GradSave)([y, norms]);
    const gradFunc: WithGradient['gradFunc'] = (dy, [output, lengths]) => {
      const unit = output as tf.Tensor;
      const along = one('Mul', [float], [unit, rowSum(one('Mul', [float], [unit, dy]))]);
      return [one('RealDiv', [float], [one('Sub', [float], [dy, along]), lengths as tf.Tensor])];
    };
    return { value: y, gradFunc } as WithGradient;
  });
  return operation(x) as tf.Tensor2D;
}
