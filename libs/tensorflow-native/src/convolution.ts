// Convolutions with PyTorch's padding and their gradients: by TensorFlow's operations, or by ours where those are faster.
import * as tf from '@tensorflow/tfjs-core';
import { float, layout } from './execution.js';
import { attribute } from './native.js';
import type { Execute, GradSave, WithGradient } from './execution.js';
import type { OpAttribute } from './native.js';

// What `native/winograd.h` takes.
const winogradChannels = 32;

/** Whether our own operations can do a convolution: 3×3, stride 1, padding 1, channels in multiples of 32. */
export function suitsWinograd(kernel: readonly number[], stride: number, padding: number): boolean {
  const [height, width, inputs = 0, outputs = 0] = kernel;
  return (
    height === 3 &&
    width === 3 &&
    stride === 1 &&
    padding === 1 &&
    Math.min(inputs, outputs) > 0 &&
    inputs % winogradChannels === 0 &&
    outputs % winogradChannels === 0
  );
}

/**
 * A 3×3 convolution of stride 1 by Winograd's minimal filtering (Lavin and Gray 2016): twice the speed of the direct form
 * (docs/decisions/0012), equal to it up to rounding. `x: [n, h, w, c]`, `kernel: [3, 3, c, d]`.
 */
export function winogradConvolution(one: Execute, x: tf.Tensor4D, kernel: tf.Tensor4D): tf.Tensor4D {
  const operation = tf.customGrad((input, weights, save) => {
    (save as GradSave)([input as tf.Tensor, weights as tf.Tensor]);
    const gradFunc: WithGradient['gradFunc'] = (dy, saved) => {
      const [inputs, filters] = saved as [tf.Tensor, tf.Tensor];
      return [
        one('KindredConvolutionInputGradient', [], [dy, filters]),
        one('KindredConvolutionFilterGradient', [], [inputs, dy]),
      ];
    };
    return {
      value: one('KindredConvolution', [], [input as tf.Tensor, weights as tf.Tensor]),
      gradFunc,
    } as WithGradient;
  });
  return operation(x, kernel) as tf.Tensor4D;
}

/**
 * A convolution `x: [n, h, w, c]` with `kernel: [k, k, c, d]` by TensorFlow's own operations, zeros around the image. Where the padding
 * is spelled out, `device` says which form its gradients have.
 */
export function convolution(
  one: Execute,
  x: tf.Tensor4D,
  kernel: tf.Tensor4D,
  stride: number,
  padding: number,
  device: 'cpu' | 'gpu',
): tf.Tensor4D {
  const attributes = (paddings: readonly OpAttribute[]): OpAttribute[] => [
    float,
    layout,
    attribute.ints('strides', [1, stride, stride, 1]),
    attribute.ints('dilations', [1, 1, 1, 1]),
    attribute.bool('use_cudnn_on_gpu', true),
    ...paddings,
  ];
  const valid = attributes([attribute.string('padding', 'VALID')]);
  const same = attributes([attribute.string('padding', 'SAME')]);
  const explicit = attributes([
    attribute.string('padding', 'EXPLICIT'),
    attribute.ints('explicit_paddings', [0, 0, padding, padding, padding, padding, 0, 0]),
  ]);
  // PyTorch's padding is 'SAME' at stride 1 and 'VALID' without padding; else it is spelled out.
  const simple = padding === 0 ? valid : stride === 1 && kernel.shape[0] === 2 * padding + 1 ? same : null;
  // cuDNN has the gradients of explicitly padded convolutions, too.
  const direct = simple ?? (device === 'gpu' ? explicit : null);
  const operation = tf.customGrad((input, weights, save) => {
    (save as GradSave)([input as tf.Tensor, weights as tf.Tensor]);
    const gradFunc: WithGradient['gradFunc'] = (dy, saved) => {
      const [inputs, filters] = saved as [tf.Tensor4D, tf.Tensor4D];
      const filterSizes = tf.tensor1d(filters.shape, 'int32');
      if (direct !== null) {
        const inputSizes = tf.tensor1d(inputs.shape, 'int32');
        return [
          one('Conv2DBackpropInput', direct, [inputSizes, filters, dy]),
          one('Conv2DBackpropFilter', direct, [inputs, filterSizes, dy]),
        ];
      }
      // oneDNN has forward convolutions with explicit padding, but TensorFlow sends their gradients to slow kernels (8 times
      // slower, measured); so the gradients are those of the convolution of the padded input.
      const paddings = padFrame(inputs.shape, dy.shape, kernel.shape[0], stride, padding);
      const pairs = tf.tensor2d(paddings.flat(), [4, 2], 'int32');
      const padded = one('Pad', [float, attribute.type('Tpaddings', 'int32')], [inputs, pairs]);
      const gradient = one('Conv2DBackpropInput', valid, [tf.tensor1d(padded.shape, 'int32'), filters, dy]);
      const begin = tf.tensor1d([0, padding, padding, 0], 'int32');
      const cut = one(
        'Slice',
        [float, attribute.type('Index', 'int32')],
        [gradient, begin, tf.tensor1d(inputs.shape, 'int32')],
      );
      return [cut, one('Conv2DBackpropFilter', valid, [padded, filterSizes, dy])];
    };
    return {
      value: one('Conv2D', simple ?? explicit, [input as tf.Tensor, weights as tf.Tensor]),
      gradFunc,
    } as WithGradient;
  });
  return operation(x, kernel) as tf.Tensor4D;
}

/** Zeros around an input so that a 'VALID' convolution reads what the explicitly padded one reads: no more than it needs behind. */
function padFrame(
  input: readonly number[],
  output: readonly number[],
  size: number,
  stride: number,
  padding: number,
): [number, number][] {
  const behind = (axis: number): number => {
    const read = ((output[axis] ?? 1) - 1) * stride + size;
    return Math.max(read - (input[axis] ?? 0) - padding, 0);
  };
  return [
    [0, 0],
    [padding, behind(1)],
    [padding, behind(2)],
    [0, 0],
  ];
}
