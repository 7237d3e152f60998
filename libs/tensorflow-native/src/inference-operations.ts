// The network's operations on folded parameters: what is left of a BatchNorm is an addition, which the convolution before it takes along.
import type * as tf from '@tensorflow/tfjs-core';
import type { NetworkOperations, NormResult, NormTensors } from '@kindred/simclr';
import { suitsWinograd } from './convolution.js';
import { float, layout } from './execution.js';
import { attribute } from './native.js';
import { createNativeOperations } from './operations.js';
import type { Execute } from './execution.js';
import type { TensorFlowRuntime } from './runtime.js';

/**
 * Operations for parameters of `foldBatchNorm` that never change; eval mode only, without gradients. Our own convolutions transform their
 * filters once, at a graph's first run, and add bias and residual and apply the ReLU to what they hold in registers. TensorFlow's
 * graph optimizer joins its own convolutions with what follows them. `wide`: our own go by tiles of 4×4 outputs, with fewer
 * multiplications and rounding errors some four times as large (docs/decisions/0012).
 */
export function createInferenceOperations(
  runtime: Pick<TensorFlowRuntime, 'backend' | 'winograd' | 'device'>,
  { wide = false }: { readonly wide?: boolean } = {},
): NetworkOperations {
  const native = createNativeOperations(runtime);
  const one: Execute = (op, attributes, inputs) => runtime.backend.executeSingleOutput(op, attributes, inputs);
  // What our own convolutions were made from: the BatchNorm after one replaces it, and a graph leaves it out.
  const made = new WeakMap<tf.Tensor, { readonly x: tf.Tensor4D; readonly kernel: tf.Tensor4D }>();

  /** relu(BatchNorm(x) + residual), each part where it is asked for. */
  const ended = (x: tf.Tensor4D, { offset }: NormTensors, residual: tf.Tensor4D | null, relu: boolean): tf.Tensor => {
    const convolution = made.get(x);
    if (convolution !== undefined) {
      const inputs = [convolution.x, convolution.kernel, offset];
      const form = [attribute.bool('relu', relu), attribute.bool('wide', wide)];
      return residual === null
        ? one('KindredFrozenConvolution', form, inputs)
        : one('KindredFrozenConvolutionAdd', form, [...inputs, residual]);
    }
    const shifted = one('BiasAdd', [float, layout], [x, offset]);
    const added = residual === null ? shifted : one('AddV2', [float], [shifted, residual]);
    return relu ? one('Relu', [float], [added]) : added;
  };
  const result = (output: tf.Tensor, { runningMean, runningVariance }: NormTensors): NormResult => ({
    output: output as tf.Tensor4D,
    runningMean,
    runningVariance,
  });
  return {
    ...native,
    convolution(x, kernel, stride, padding) {
      const y = native.convolution(x, kernel, stride, padding);
      if (runtime.winograd !== null && suitsWinograd(kernel.shape, stride, padding)) made.set(y, { x, kernel });
      return y;
    },
    batchNorm: (x, norm) => result(ended(x, norm, null, false), norm),
    batchNormRelu: (x, norm) => result(ended(x, norm, null, true), norm),
    batchNormAddRelu: (x, norm, residual) => result(ended(x, norm, residual, true), norm),
  };
}
