// The few operations a network is made of, as an interface, with defaults that any tfjs backend can run.
import * as tf from '@tensorflow/tfjs-core';

/** BatchNorm's epsilon and momentum: PyTorch's defaults, which the reference keeps. */
export const batchNormEpsilon = 1e-5;
export const batchNormMomentum = 0.1;

/** Tensors of one BatchNorm layer, each `[channels]`. */
export interface NormTensors {
  readonly scale: tf.Tensor1D;
  readonly offset: tf.Tensor1D;
  readonly runningMean: tf.Tensor1D;
  readonly runningVariance: tf.Tensor1D;
}

/** What BatchNorm gives: its output, and the running statistics after it (the given ones where not training). */
export interface NormResult {
  readonly output: tf.Tensor4D;
  readonly runningMean: tf.Tensor1D;
  readonly runningVariance: tf.Tensor1D;
}

/**
 * The differentiable operations of the network. An adapter hands in faster ones; {@link portableOperations} runs anywhere.
 * Images are NHWC, convolution kernels HWIO, matrices `[in, out]`.
 */
export interface NetworkOperations {
  /** Convolution with `padding` zeros on each side (PyTorch's explicit padding, also at stride 2). */
  convolution(x: tf.Tensor4D, kernel: tf.Tensor4D, stride: number, padding: number): tf.Tensor4D;
  /** BatchNorm over n, h, w. In training the running variance takes in the unbiased batch variance, as in PyTorch. */
  batchNorm(x: tf.Tensor4D, norm: NormTensors, training: boolean): NormResult;
  /** BatchNorm with a ReLU after it. */
  batchNormRelu(x: tf.Tensor4D, norm: NormTensors, training: boolean): NormResult;
  /** relu(BatchNorm(x) + residual): the end of a residual block. */
  batchNormAddRelu(x: tf.Tensor4D, norm: NormTensors, residual: tf.Tensor4D, training: boolean): NormResult;
  /** Largest value of each window of `size`, moved by `stride`; `padding` zeros around, so inputs must not be negative. */
  maxPool(x: tf.Tensor4D, size: number, stride: number, padding: number): tf.Tensor4D;
  /** Mean over h and w: `[n, h, w, c]` to `[n, c]`. */
  averagePool(x: tf.Tensor4D): tf.Tensor2D;
  /** x·weight + bias. */
  linear(x: tf.Tensor2D, weight: tf.Tensor2D, bias: tf.Tensor1D): tf.Tensor2D;
  /** max(x, 0). */
  relu(x: tf.Tensor2D): tf.Tensor2D;
  /** Rows divided by max(their Euclidean norm, 1e-12): PyTorch's `F.normalize`. */
  normaliseRows(x: tf.Tensor2D): tf.Tensor2D;
}

/** The operations spelled out in backend-free tfjs calls. Tensors they return beside the gradient's way are kept by the caller. */
export const portableOperations: NetworkOperations = {
  convolution(x, kernel, stride, padding) {
    // tfjs has no gradient for explicit padding: pad first, then convolve 'valid'.
    return tf.conv2d(zeroPadded(x, padding), kernel, stride, 'valid');
  },
  batchNorm(x, norm, training) {
    if (!training) {
      const output = normalise(x, norm.runningMean, norm.runningVariance, norm);
      return { output, runningMean: norm.runningMean, runningVariance: norm.runningVariance };
    }
    const mean = tf.mean(x, [0, 1, 2]) as tf.Tensor1D;
    const variance = tf.mean(tf.square(tf.sub(x, mean)), [0, 1, 2]) as tf.Tensor1D;
    const [n, height, width] = x.shape;
    const count = n * height * width;
    // PyTorch: the batch is normalised by the biased variance, the running one takes the unbiased.
    const unbiased = tf.mul(variance, tf.scalar(count / Math.max(count - 1, 1)));
    return {
      output: normalise(x, mean, variance, norm),
      runningMean: moveTowards(norm.runningMean, mean),
      runningVariance: moveTowards(norm.runningVariance, unbiased as tf.Tensor1D),
    };
  },
  batchNormRelu(x, norm, training) {
    const result = portableOperations.batchNorm(x, norm, training);
    return { ...result, output: tf.relu(result.output) };
  },
  batchNormAddRelu(x, norm, residual, training) {
    const result = portableOperations.batchNorm(x, norm, training);
    return { ...result, output: tf.relu(tf.add(result.output, residual)) };
  },
  maxPool(x, size, stride, padding) {
    return tf.maxPool(zeroPadded(x, padding), size, stride, 'valid');
  },
  averagePool(x) {
    return tf.mean(x, [1, 2]);
  },
  linear(x, weight, bias) {
    return tf.add(tf.matMul(x, weight), bias);
  },
  relu(x) {
    return tf.relu(x);
  },
  normaliseRows(x) {
    const norms = tf.sqrt(tf.sum(tf.square(x), 1, true));
    return tf.div(x, tf.maximum(norms, tf.scalar(1e-12)));
  },
};

function normalise(
  x: tf.Tensor4D,
  mean: tf.Tensor1D,
  variance: tf.Tensor1D,
  { scale, offset }: NormTensors,
): tf.Tensor4D {
  const factor = tf.mul(scale, tf.rsqrt(tf.add(variance, tf.scalar(batchNormEpsilon))));
  return tf.add(tf.mul(tf.sub(x, mean), factor), offset);
}

function moveTowards(running: tf.Tensor1D, batch: tf.Tensor1D): tf.Tensor1D {
  return tf.add(tf.mul(running, tf.scalar(1 - batchNormMomentum)), tf.mul(batch, tf.scalar(batchNormMomentum)));
}

/** `x` with `padding` rows and columns of zeros on every side. */
function zeroPadded(x: tf.Tensor4D, padding: number): tf.Tensor4D {
  if (padding === 0) return x;
  const sides: [number, number] = [padding, padding];
  return tf.pad(x, [[0, 0], sides, sides, [0, 0]]);
}
