// The network's operations on TensorFlow's own kernels, with their gradients: what tfjs spells out in a dozen steps is one here.
import * as tf from '@tensorflow/tfjs-core';
import { batchNormEpsilon, batchNormMomentum, portableOperations } from '@kindred/simclr';
import type { NetworkOperations, NormResult, NormTensors } from '@kindred/simclr';
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
}: Pick<TensorFlowRuntime, 'backend' | 'winograd'>): NetworkOperations {
  const one: Execute = (op, attributes, inputs) => backend.executeSingleOutput(op, attributes, inputs);

  return {
    ...portableOperations,
    convolution: (x, kernel, stride, padding) =>
      winograd !== null && suitsWinograd(kernel.shape, stride, padding)
        ? winogradConvolution(one, x, kernel)
        : convolution(one, x, kernel, stride, padding),
    batchNorm: (x, norm, training) => batchNorm(backend, x, norm, training, false),
    batchNormRelu: (x, norm, training) => batchNorm(backend, x, norm, training, true),
    addRelu(a, b) {
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

function batchNorm(
  backend: NativeBackend,
  x: tf.Tensor4D,
  norm: NormTensors,
  training: boolean,
  relu: boolean,
): NormResult {
  const { scale, offset, runningMean, runningVariance } = norm;
  const attributes = [
    float,
    attribute.type('U', 'float32'),
    attribute.float('epsilon', batchNormEpsilon),
    layout,
    attribute.bool('is_training', training),
  ];
  // With a factor below 1 the kernel gives (1 - factor)·old + factor·batch, the variance unbiased: PyTorch's update.
  const forward = [...attributes, attribute.float('exponential_avg_factor', training ? batchNormMomentum : 1)];
  let statistics: tf.Tensor1D[] = [runningMean, runningVariance];
  const operation = tf.customGrad((input, gamma, beta, save) => {
    const inputs = [input as tf.Tensor, gamma as tf.Tensor, beta as tf.Tensor, runningMean, runningVariance];
    const [normalised, mean, variance, ...reserved] = backend.executeMultipleOutputs(
      'FusedBatchNormV3',
      forward,
      inputs,
      6,
    );
    if (training) statistics = [mean, variance].map((tensor) => tf.keep(tensor as tf.Tensor1D));
    const y = relu
      ? backend.executeSingleOutput('Relu', [float], [normalised as tf.Tensor])
      : (normalised as tf.Tensor);
    (save as GradSave)([y, input as tf.Tensor, gamma as tf.Tensor, ...reserved]);
    const gradFunc: WithGradient['gradFunc'] = (dy, [output, ...saved]) => {
      const gradient = relu ? backend.executeSingleOutput('ReluGrad', [float], [dy, output as tf.Tensor]) : dy;
      return backend.executeMultipleOutputs('FusedBatchNormGradV3', attributes, [gradient, ...saved], 5).slice(0, 3);
    };
    return { value: y, gradFunc } as WithGradient;
  });
  const output = operation(x, scale, offset) as tf.Tensor4D;
  return { output, runningMean: statistics[0] as tf.Tensor1D, runningVariance: statistics[1] as tf.Tensor1D };
}

function averagePool(one: Execute, x: tf.Tensor4D): tf.Tensor2D {
  const reduce = [float, attribute.type('Tidx', 'int32'), attribute.bool('keep_dims', false)];
  const operation = tf.customGrad((input) => {
    const [n, height, width, channels] = (input as tf.Tensor4D).shape;
    const gradFunc: WithGradient['gradFunc'] = (dy) => {
      const share = tf.reshape(tf.div(dy, tf.scalar(height * width)), [n, 1, 1, channels]);
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
