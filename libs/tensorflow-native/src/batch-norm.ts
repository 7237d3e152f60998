// BatchNorm with its gradient: by TensorFlow's kernel, or in training by ours, which take the ReLU and the addition along.
import * as tf from '@tensorflow/tfjs-core';
import { batchNormEpsilon, batchNormMomentum } from '@kindred/simclr';
import type { NormResult, NormTensors } from '@kindred/simclr';
import { float, layout } from './execution.js';
import { attribute } from './native.js';
import type { GradSave, WithGradient } from './execution.js';
import type { NativeBackend } from './native.js';

// What `native/norm.h` takes.
const fusedChannels = 16;

/** Whether our own kernels can do the BatchNorm of a map `[n, h, w, c]`: channels in multiples of 16. */
export function suitsFusedBatchNorm(shape: readonly number[]): boolean {
  const channels = shape[3] ?? 0;
  return channels > 0 && channels % fusedChannels === 0;
}

/**
 * relu(BatchNorm(x) + residual) of a training step, `x: [n, h, w, c]`, in two passes over memory and its gradient in two more;
 * TensorFlow's operations for the same take eight and ten (docs/decisions/0012). `residual` null: none.
 */
export function fusedBatchNorm(
  backend: NativeBackend,
  x: tf.Tensor4D,
  { scale, offset, runningMean, runningVariance }: NormTensors,
  residual: tf.Tensor4D | null,
): NormResult {
  let statistics: tf.Tensor1D[] = [];
  const run = (map: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, added: tf.Tensor | null, save: GradSave) => {
    const [y, mean, variance, inverse] = backend.executeMultipleOutputs(
      added === null ? 'KindredNormRelu' : 'KindredNormAddRelu',
      [attribute.float('epsilon', batchNormEpsilon)],
      added === null ? [map, gamma, beta] : [map, gamma, beta, added],
      4,
    ) as [tf.Tensor, tf.Tensor1D, tf.Tensor1D, tf.Tensor1D];
    const count = x.shape[0] * x.shape[1] * x.shape[2];
    // PyTorch: the batch is normalised by the biased variance, the running one takes the unbiased.
    const bessel = count / Math.max(count - 1, 1);
    statistics = [moveTowards(runningMean, mean, 1), moveTowards(runningVariance, variance, bessel)].map((tensor) =>
      tf.keep(tensor),
    );
    save([map, gamma, added === null ? beta : y, mean, inverse]);
    const gradFunc: WithGradient['gradFunc'] = (dy, saved) =>
      added === null
        ? backend.executeMultipleOutputs('KindredNormReluGradient', [], [dy, ...saved], 3)
        : backend.executeMultipleOutputs('KindredNormAddReluGradient', [], [dy, ...saved], 4);
    return { value: y, gradFunc } as WithGradient;
  };
  const output =
    residual === null
      ? tf.customGrad((map, gamma, beta, save) =>
          run(map as tf.Tensor, gamma as tf.Tensor, beta as tf.Tensor, null, save as GradSave),
        )(x, scale, offset)
      : tf.customGrad((map, gamma, beta, added, save) =>
          run(map as tf.Tensor, gamma as tf.Tensor, beta as tf.Tensor, added as tf.Tensor, save as GradSave),
        )(x, scale, offset, residual);
  const [newMean, newVariance] = statistics;
  return {
    output: output as tf.Tensor4D,
    runningMean: newMean as tf.Tensor1D,
    runningVariance: newVariance as tf.Tensor1D,
  };
}

/** The running statistic after a batch's, which is first multiplied by `factor`; in one product, as a graph would have it. */
function moveTowards(running: tf.Tensor1D, batch: tf.Tensor, factor: number): tf.Tensor1D {
  const taken = tf.mul(batch, tf.scalar(batchNormMomentum * factor));
  return tf.add(tf.mul(running, tf.scalar(1 - batchNormMomentum)), taken);
}

/**
 * BatchNorm by TensorFlow's kernel, with a ReLU after it where asked for. In training the running statistics that it returns
 * are kept (`tf.keep`) beyond the surrounding tidy.
 */
export function batchNorm(
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
