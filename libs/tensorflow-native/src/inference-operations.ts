// The network's operations on folded parameters: what is left of a BatchNorm is an addition.
import type * as tf from '@tensorflow/tfjs-core';
import type { NetworkOperations, NormResult, NormTensors } from '@kindred/simclr';
import { float, layout } from './execution.js';
import { createNativeOperations } from './operations.js';
import type { Execute } from './execution.js';
import type { TensorFlowRuntime } from './runtime.js';

/**
 * Operations for parameters of `foldBatchNorm`; eval mode only, without gradients. TensorFlow's graph optimizer joins
 * convolution, addition and ReLU to one operation where the convolution is its own.
 */
export function createInferenceOperations(runtime: Pick<TensorFlowRuntime, 'backend' | 'winograd'>): NetworkOperations {
  const one: Execute = (op, attributes, inputs) => runtime.backend.executeSingleOutput(op, attributes, inputs);
  const shifted = (x: tf.Tensor4D, { offset }: NormTensors): tf.Tensor => one('BiasAdd', [float, layout], [x, offset]);
  const result = (output: tf.Tensor, { runningMean, runningVariance }: NormTensors): NormResult => ({
    output: output as tf.Tensor4D,
    runningMean,
    runningVariance,
  });
  return {
    ...createNativeOperations(runtime),
    batchNorm: (x, norm) => result(shifted(x, norm), norm),
    batchNormRelu: (x, norm) => result(one('Relu', [float], [shifted(x, norm)]), norm),
    batchNormAddRelu: (x, norm, residual) =>
      result(one('Relu', [float], [one('AddV2', [float], [shifted(x, norm), residual])]), norm),
  };
}
