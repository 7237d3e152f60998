// The network's operations on TensorFlow's own kernels, with their gradients: what tfjs spells out in a dozen steps is one here.
import * as tf from '@tensorflow/tfjs-core';
import { batchNormEpsilon, batchNormMomentum, portableOperations } from '@kindred/simclr';
import type { NetworkOperations, NormResult, NormTensors } from '@kindred/simclr';
import { attribute } from './native.js';
import type { NativeBackend, OpAttribute } from './native.js';

type GradSave = (tensors: tf.Tensor[]) => void;
type WithGradient = { value: tf.Tensor; gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor[] };

const float = attribute.type('T', 'float32');
const layout = attribute.string('data_format', 'NHWC');

/**
 * The native operations. In training, `batchNorm` and `batchNormRelu` return running statistics that are kept (`tf.keep`)
 * beyond the surrounding tidy: the caller disposes of them.
 */
export function createNativeOperations(backend: NativeBackend): NetworkOperations {
  const one = (op: string, attributes: readonly OpAttribute[], inputs: readonly tf.Tensor[]): tf.Tensor =>
    backend.executeSingleOutput(op, attributes, inputs);

  return {
    ...portableOperations,
    convolution: (x, kernel, stride, padding) => convolution(one, x, kernel, stride, padding),
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

type Execute = (op: string, attributes: readonly OpAttribute[], inputs: readonly tf.Tensor[]) => tf.Tensor;

function convolution(one: Execute, x: tf.Tensor4D, kernel: tf.Tensor4D, stride: number, padding: number): tf.Tensor4D {
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
  const operation = tf.customGrad((input, weights, save) => {
    (save as GradSave)([input as tf.Tensor, weights as tf.Tensor]);
    const gradFunc: WithGradient['gradFunc'] = (dy, saved) => {
      const [inputs, filters] = saved as [tf.Tensor4D, tf.Tensor4D];
      const filterSizes = tf.tensor1d(filters.shape, 'int32');
      if (simple !== null) {
        const inputSizes = tf.tensor1d(inputs.shape, 'int32');
        return [
          one('Conv2DBackpropInput', simple, [inputSizes, filters, dy]),
          one('Conv2DBackpropFilter', simple, [inputs, filterSizes, dy]),
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
