// Output shapes of the operations that cost most, worked out without running them: what makes recording a step cheap.
import { dataTypes } from './native.js';
import type { OpAttribute } from './native.js';

/** Shape and TensorFlow type number of a tensor. */
export interface TensorForm {
  readonly shape: readonly number[];
  readonly dtype: number;
}

/** An operation as it is called. */
export interface OperationCall {
  readonly attributes: readonly OpAttribute[];
  readonly inputs: readonly TensorForm[];
  /** Values of input `index`, where it was made in JavaScript; else null. */
  readonly constant: (index: number) => readonly number[] | null;
}

type Rule = (call: OperationCall) => readonly TensorForm[] | null;

/** The outputs' forms, or null where no rule says: then the operation must be run to know. */
export function outputForms(op: string, call: OperationCall): readonly TensorForm[] | null {
  return rules[op]?.(call) ?? null;
}

const sameAsFirst: Rule = ({ inputs: [x] }) => one(x);

const broadcast: Rule = ({ inputs: [a, b] }) => {
  if (a === undefined || b === undefined) return null;
  const rank = Math.max(a.shape.length, b.shape.length);
  const size = ({ shape }: TensorForm, axis: number): number => shape[axis - rank + shape.length] ?? 1;
  const shape = Array.from({ length: rank }, (_, axis) => (size(a, axis) === 1 ? size(b, axis) : size(a, axis)));
  return [{ shape, dtype: a.dtype }];
};

/** The shape is the value of input `index`. */
function shapeFrom(index: number): Rule {
  return ({ constant, inputs }) => {
    const shape = constant(index);
    // The shape is an int32 tensor, the values another one's.
    const dtype = inputs.find((_, other) => other !== index)?.dtype;
    return shape === null || dtype === undefined ? null : [{ shape, dtype }];
  };
}

const convolution: Rule = ({ attributes, inputs: [x, filter] }) => {
  const [n, ...sizes] = x?.shape.slice(0, 3) ?? [];
  const strides = valueOf(attributes, 'strides') as readonly number[];
  const padding = valueOf(attributes, 'padding');
  const explicit = (valueOf(attributes, 'explicit_paddings') ?? []) as readonly number[];
  if (x === undefined || filter === undefined || n === undefined || sizes.length !== 2) return null;
  const dilations = (valueOf(attributes, 'dilations') ?? []) as readonly number[];
  if (dilations.some((step) => step !== 1) || (valueOf(attributes, 'data_format') ?? 'NHWC') !== 'NHWC') return null;
  const output = sizes.map((size, axis) => {
    const stride = strides[axis + 1] ?? 1;
    if (padding === 'SAME') return Math.ceil(size / stride);
    const frame = padding === 'EXPLICIT' ? (explicit[2 * axis + 2] ?? 0) + (explicit[2 * axis + 3] ?? 0) : 0;
    return Math.floor((size + frame - (filter.shape[axis] ?? 1)) / stride) + 1;
  });
  return [{ shape: [n, ...output, filter.shape[3] ?? 0], dtype: x.dtype }];
};

const product: Rule = ({ attributes, inputs: [a, b] }) => {
  if (a?.shape.length !== 2 || b?.shape.length !== 2) return null;
  const rows = a.shape[valueOf(attributes, 'transpose_a') === true ? 1 : 0] ?? 0;
  const columns = b.shape[valueOf(attributes, 'transpose_b') === true ? 0 : 1] ?? 0;
  return [{ shape: [rows, columns], dtype: a.dtype }];
};

const pool: Rule = ({ attributes, inputs: [x] }) => {
  const sizes = valueOf(attributes, 'ksize') as readonly number[];
  const strides = valueOf(attributes, 'strides') as readonly number[];
  if (x === undefined || valueOf(attributes, 'padding') !== 'VALID') return null;
  if ((valueOf(attributes, 'data_format') ?? 'NHWC') !== 'NHWC') return null;
  const along = (size: number, axis: number): number =>
    Math.floor((size - (sizes[axis] ?? 1)) / (strides[axis] ?? 1)) + 1;
  return [{ ...x, shape: x.shape.map(along) }];
};

const ownConvolution: Rule = ({ inputs: [x, filter] }) =>
  x === undefined ? null : [{ ...x, shape: [...x.shape.slice(0, 3), filter?.shape[3] ?? 0] }];

const pad: Rule = ({ inputs: [x], constant }) => {
  const frame = constant(1);
  if (x === undefined || frame === null) return null;
  return [{ ...x, shape: x.shape.map((size, axis) => size + (frame[2 * axis] ?? 0) + (frame[2 * axis + 1] ?? 0)) }];
};

const fusedNorm: Rule = ({ inputs: [x, scale] }) =>
  x === undefined || scale === undefined ? null : [x, scale, scale, scale];

const nothing: TensorForm = { shape: [0], dtype: dataTypes.float32 };

const rules: Readonly<Record<string, Rule>> = {
  Relu: sameAsFirst,
  ReluGrad: sameAsFirst,
  BiasAdd: sameAsFirst,
  Neg: sameAsFirst,
  ZerosLike: sameAsFirst,
  Square: sameAsFirst,
  Add: broadcast,
  AddV2: broadcast,
  Sub: broadcast,
  Mul: broadcast,
  RealDiv: broadcast,
  Cast: ({ attributes, inputs: [x] }) =>
    x === undefined ? null : [{ shape: x.shape, dtype: valueOf(attributes, 'DstT') as number }],
  MatMul: product,
  MaxPool: pool,
  MaxPoolGrad: sameAsFirst,
  Conv2D: convolution,
  Conv2DBackpropInput: shapeFrom(0),
  Conv2DBackpropFilter: shapeFrom(1),
  KindredConvolution: ownConvolution,
  KindredFrozenConvolution: ownConvolution,
  KindredFrozenConvolutionAdd: ownConvolution,
  KindredConvolutionInputGradient: ({ inputs: [dy, filter] }) =>
    dy === undefined ? null : [{ ...dy, shape: [...dy.shape.slice(0, 3), filter?.shape[2] ?? 0] }],
  KindredConvolutionFilterGradient: ({ inputs: [x, dy] }) =>
    x === undefined ? null : [{ ...x, shape: [3, 3, x.shape[3] ?? 0, dy?.shape[3] ?? 0] }],
  // The last output of the forward pass and the last two of the gradient are the kernels' own affair; nothing reads them.
  FusedBatchNormV3: ({ inputs: [x, scale] }) =>
    x === undefined || scale === undefined ? null : [x, scale, scale, scale, scale, nothing],
  FusedBatchNormGradV3: ({ inputs: [, x, scale] }) =>
    x === undefined || scale === undefined ? null : [x, scale, scale, nothing, nothing],
  KindredNormRelu: fusedNorm,
  KindredNormAddRelu: fusedNorm,
  KindredNormReluGradient: ({ inputs: [, x, scale] }) =>
    x === undefined || scale === undefined ? null : [x, scale, scale],
  KindredNormAddReluGradient: ({ inputs: [, x, scale] }) =>
    x === undefined || scale === undefined ? null : [x, scale, scale, x],
  BroadcastTo: shapeFrom(1),
  Slice: shapeFrom(2),
  Pad: pad,
  PadV2: pad,
};

function one(form: TensorForm | undefined): readonly TensorForm[] | null {
  return form === undefined ? null : [form];
}

function valueOf(attributes: readonly OpAttribute[], name: string): unknown {
  return attributes.find((attribute) => attribute.name === name)?.value;
}
