// Every operation of TensorFlow that a compiled function of this project has, with the attributes and the kinds of input that it
// has there: what `operation-table.spec.ts` compares in a graph and one by one.
import { attribute, attributeTypes, dataTypes } from '../native.js';
import { drawn, frame, hash, input, integer, integers, positive, row, scalar } from './table-rows.js';
import type { OpAttribute } from '../native.js';
import type { OperationRow } from './table-rows.js';

const float = attribute.type('T', 'float32');
const indices = attribute.type('Tidx', 'int32');
const layout = attribute.string('data_format', 'NHWC');
const epsilon = attribute.float('epsilon', 1e-5);
const int = (name: string, value: number): OpAttribute => ({ name, type: attributeTypes.int, value });
const keepDims = (value: boolean): OpAttribute => attribute.bool('keep_dims', value);

const [map, features, vector] = [drawn(6, 9, 7, 16), drawn(12, 40), drawn(33)];
const bools = input('bool', [12, 5], (i) => hash(i) & 1);
/** Element by element: a map, rows, a row over rows as in broadcasting, single numbers. */
const pairs = [
  [map, positive(6, 9, 7, 16)],
  [features, positive(12, 1)],
  [map, positive(16)],
  [vector, scalar(0.3)],
];
const singles = [[map], [features], [vector], [drawn()]];

function convolution(stride: number, padding: string, explicit: readonly number[] = []): OpAttribute[] {
  return [
    float,
    layout,
    attribute.ints('strides', [1, stride, stride, 1]),
    attribute.ints('dilations', [1, 1, 1, 1]),
    attribute.bool('use_cudnn_on_gpu', true),
    attribute.string('padding', padding),
    ...(explicit.length === 0 ? [] : [attribute.ints('explicit_paddings', explicit)]),
  ];
}

/** Channels in, channels out, side of the kernel; as at widths 4, 8, 16 and 32, the stem's first. */
const same = [
  [3, 16, 3],
  [4, 4, 3],
  [8, 8, 3],
  [16, 16, 3],
  [32, 32, 3],
  [128, 128, 3],
] as const;
const strided = [
  [4, 8],
  [8, 16],
  [16, 32],
  [64, 128],
] as const;
const framed = [0, 0, 1, 1, 1, 1, 0, 0];

const convolutions: readonly OperationRow[] = [
  row(
    'Conv2D',
    convolution(1, 'SAME'),
    same.map(([c, d, k]) => [drawn(6, 9, 7, c), drawn(k, k, c, d)]),
    { typed: [0, 1] },
  ),
  row(
    'Conv2D',
    convolution(2, 'EXPLICIT', framed),
    strided.map(([c, d]) => [drawn(6, 9, 8, c), drawn(3, 3, c, d)]),
    { typed: [0, 1] },
  ),
  row('Conv2D', convolution(2, 'EXPLICIT', [0, 0, 3, 3, 3, 3, 0, 0]), [[drawn(6, 19, 18, 3), drawn(7, 7, 3, 16)]], {
    typed: [0, 1],
  }),
  row(
    'Conv2D',
    convolution(2, 'VALID'),
    strided.map(([c, d]) => [drawn(6, 9, 8, c), drawn(1, 1, c, d)]),
    { typed: [0, 1] },
  ),
  row(
    'Conv2DBackpropInput',
    convolution(1, 'SAME'),
    same.map(([c, d, k]) => [integers(6, 9, 7, c), drawn(k, k, c, d), drawn(6, 9, 7, d)]),
    { typed: [1, 2] },
  ),
  row(
    'Conv2DBackpropInput',
    convolution(2, 'VALID'),
    strided.flatMap(([c, d]) => [
      [integers(6, 11, 10, c), drawn(3, 3, c, d), drawn(6, 5, 4, d)],
      [integers(6, 9, 8, c), drawn(1, 1, c, d), drawn(6, 5, 4, d)],
    ]),
    { typed: [1, 2] },
  ),
  row(
    'Conv2DBackpropFilter',
    convolution(1, 'SAME'),
    same.map(([c, d, k]) => [drawn(6, 9, 7, c), integers(k, k, c, d), drawn(6, 9, 7, d)]),
    { typed: [0, 2] },
  ),
  row(
    'Conv2DBackpropFilter',
    convolution(2, 'VALID'),
    strided.flatMap(([c, d]) => [
      [drawn(6, 11, 10, c), integers(3, 3, c, d), drawn(6, 5, 4, d)],
      [drawn(6, 9, 8, c), integers(1, 1, c, d), drawn(6, 5, 4, d)],
    ]),
    { typed: [0, 2] },
  ),
];

/** On a GPU only: gradients of convolutions whose padding is spelled out. ImageNet's stem reads the images, which have none. */
export const gpuRows: readonly OperationRow[] = [
  row(
    'Conv2DBackpropInput',
    convolution(2, 'EXPLICIT', framed),
    strided.map(([c, d]) => [integers(6, 9, 8, c), drawn(3, 3, c, d), drawn(6, 5, 4, d)]),
    { typed: [1, 2] },
  ),
  row(
    'Conv2DBackpropFilter',
    convolution(2, 'EXPLICIT', framed),
    strided.map(([c, d]) => [drawn(6, 9, 8, c), integers(3, 3, c, d), drawn(6, 5, 4, d)]),
    { typed: [0, 2] },
  ),
  row(
    'Conv2DBackpropFilter',
    convolution(2, 'EXPLICIT', [0, 0, 3, 3, 3, 3, 0, 0]),
    [[drawn(6, 19, 18, 3), integers(7, 7, 3, 16), drawn(6, 10, 9, 16)]],
    { typed: [0, 2] },
  ),
];

const statistics = [drawn(16), positive(16)];
const norm = (training: boolean, ...others: OpAttribute[]): OpAttribute[] => [
  float,
  attribute.type('U', 'float32'),
  epsilon,
  layout,
  attribute.bool('is_training', training),
  ...others,
];
const factor = (value: number): OpAttribute => attribute.float('exponential_avg_factor', value);
const scaleAndOffset = [positive(16), drawn(16)];
const small = drawn(6, 9, 7, 4);

const norms: readonly OperationRow[] = [
  row(
    'FusedBatchNormV3',
    norm(true, factor(0.1)),
    [
      [map, ...scaleAndOffset, ...statistics],
      [small, positive(4), drawn(4), drawn(4), positive(4)],
    ],
    { outputs: 6, read: 3, typed: [0] },
  ),
  row('FusedBatchNormV3', norm(false, factor(1)), [[map, ...scaleAndOffset, ...statistics]], { outputs: 6, read: 1 }),
  row(
    'FusedBatchNormGradV3',
    norm(true),
    [
      [drawn(6, 9, 7, 16), map, positive(16), ...statistics, drawn(0)],
      [drawn(6, 9, 7, 4), small, positive(4), drawn(4), positive(4), drawn(0)],
    ],
    { outputs: 5, read: 3, typed: [0, 1] },
  ),
];

const relu = attribute.bool('relu', true);
const frozenInputs = [drawn(4, 9, 7, 32), drawn(3, 3, 32, 64), drawn(64)];

/** Ours: only where the processor has the instructions for them. */
export const ownRows: readonly OperationRow[] = [
  row('KindredConvolution', [], [[drawn(4, 9, 7, 32), drawn(3, 3, 32, 64)]]),
  row('KindredConvolutionInputGradient', [], [[drawn(4, 9, 7, 64), drawn(3, 3, 32, 64)]]),
  row('KindredConvolutionFilterGradient', [], [[drawn(4, 9, 7, 32), drawn(4, 9, 7, 64)]]),
  ...[false, true].flatMap((value) => {
    const form = [relu, attribute.bool('wide', value)];
    return [
      row('KindredFrozenConvolution', form, [frozenInputs]),
      row('KindredFrozenConvolutionAdd', form, [[...frozenInputs, drawn(4, 9, 7, 64)]]),
    ];
  }),
  row('KindredNormRelu', [epsilon], [[map, ...scaleAndOffset]], { outputs: 4 }),
  row('KindredNormAddRelu', [epsilon], [[map, ...scaleAndOffset, drawn(6, 9, 7, 16)]], { outputs: 4 }),
  row('KindredNormReluGradient', [], [[drawn(6, 9, 7, 16), map, ...scaleAndOffset, ...statistics]], { outputs: 3 }),
  row(
    'KindredNormAddReluGradient',
    [],
    [[drawn(6, 9, 7, 16), map, positive(16), positive(6, 9, 7, 16), ...statistics]],
    {
      outputs: 4,
    },
  ),
];

const elementwise: readonly OperationRow[] = [
  ...['Add', 'AddV2'].map((op) => row(op, [float], pairs, { typed: [0, 1] })),
  ...['Sub', 'Mul', 'Maximum'].map((op) => row(op, [float], pairs)),
  // By what is computed only: by a constant (the mean's gradient of 1 has one) the graph multiplies by its reciprocal.
  row('RealDiv', [float], pairs.slice(0, 3)),
  ...['Equal', 'NotEqual', 'Greater'].map((op) =>
    row(op, [float], [[input('float32', [12, 5], (i) => i % 7), scalar(3)]]),
  ),
  ...['Neg', 'Square', 'Exp', 'OnesLike', 'ZerosLike'].map((op) => row(op, [float], singles)),
  ...['Sqrt', 'Log'].map((op) => row(op, [float], [[positive(12, 40)], [positive()]])),
  row('Relu', [float], singles, { typed: [0] }),
  row('ReluGrad', [float], [[drawn(6, 9, 7, 16), map]], { typed: [0, 1] }),
  row('LogicalAnd', [], [[bools, input('bool', [12, 5], (i) => hash(i + 99) & 1)]]),
  row('Select', [float], [[bools, drawn(12, 5), positive(12, 5)]]),
  row('BiasAdd', [float, layout], [[features, drawn(40)]], { typed: [0, 1] }),
];

const products: readonly OperationRow[] = [
  ...(
    [
      [false, false, drawn(40, 24)],
      [false, true, drawn(24, 40)],
      [true, false, drawn(12, 24)],
    ] as const
  ).map(([a, b, other]) =>
    row('MatMul', [float, attribute.bool('transpose_a', a), attribute.bool('transpose_b', b)], [[features, other]], {
      typed: [0, 1],
    }),
  ),
  ...(
    [
      [false, false, drawn(1, 40, 24)],
      [false, true, drawn(1, 24, 40)],
      [true, false, drawn(1, 12, 24)],
    ] as const
  ).map(([x, y, other]) =>
    row('BatchMatMulV2', [float, attribute.bool('adj_x', x), attribute.bool('adj_y', y)], [[drawn(1, 12, 40), other]]),
  ),
];

const reductions: readonly OperationRow[] = [
  row(
    'Mean',
    [float, indices, keepDims(false)],
    [
      [map, integers(1, 2)],
      [vector, integers(0)],
    ],
  ),
  row(
    'Sum',
    [float, indices, keepDims(false)],
    [
      [map, integers(0, 1, 2, 3)],
      [features, integers(1)],
      [vector, integers(0)],
    ],
  ),
  row('Sum', [float, indices, keepDims(true)], [[features, integers(1)]]),
  row('Max', [float, indices, keepDims(true)], [[features, integers(1)]]),
  row('BiasAddGrad', [float, layout], [[features]]),
  row(
    'TopKV2',
    [attribute.bool('sorted', true), float, attribute.type('Tk', 'int32')],
    [
      [features, integer(5)],
      // Equal scores: the first one wins in both forms.
      [input('float32', [4, 30], (i) => i % 3), integer(7)],
    ],
    { outputs: 2 },
  ),
];

const pool = (size: number): OpAttribute[] => [
  float,
  attribute.ints('ksize', [1, size, size, 1]),
  attribute.ints('strides', [1, 2, 2, 1]),
  attribute.string('padding', 'VALID'),
  layout,
];
const aroundMap = frame([0, 0], [1, 1], [1, 2], [0, 0]);

const shapes: readonly OperationRow[] = [
  row(
    'Cast',
    [attribute.type('SrcT', 'uint8'), attribute.type('DstT', 'float32'), attribute.bool('Truncate', false)],
    [[input('uint8', [4, 5, 6, 3], (i) => hash(i) & 255)]],
  ),
  row(
    'Cast',
    [attribute.type('SrcT', 'bool'), attribute.type('DstT', 'float32'), attribute.bool('Truncate', false)],
    [[bools]],
  ),
  row(
    'Cast',
    [attribute.type('SrcT', 'float32'), attribute.type('DstT', 'float32'), attribute.bool('Truncate', false)],
    [[features]],
  ),
  row('BroadcastTo', [float, indices], [[drawn(6, 1, 1, 16), integers(6, 9, 7, 16)]]),
  row('ConcatV2', [int('N', 2), indices, float], [[features, drawn(3, 40), integer(0)]]),
  row('ExpandDims', [float], [[features, integer(0)]]),
  row('Fill', [float, attribute.type('index_type', 'int32')], [[integers(3, 4), scalar(0.7)]]),
  row(
    'Fill',
    [{ ...float, value: dataTypes.int32 }, attribute.type('index_type', 'int32')],
    [[integers(3), integer(7)]],
  ),
  row('Pack', [int('N', 2), float, int('axis', 1)], [[features, drawn(12, 40)]]),
  row('PadV2', [float, attribute.type('Tpaddings', 'int32')], [[map, aroundMap, scalar(0)]], { typed: [0, 2] }),
  row('Range', [attribute.type('Tidx', 'float32')], [[scalar(0), scalar(24), scalar(1)]]),
  row('Reshape', [float, attribute.type('Tshape', 'int32')], [[features, integers(6, 2, 40)]]),
  row('Slice', [float, attribute.type('Index', 'int32')], [[map, integers(0, 1, 1, 0), integers(6, 7, 5, 16)]], {
    typed: [0],
  }),
  row(
    'SplitV',
    [int('num_split', 2), float, attribute.type('Tlen', 'int32')],
    [[features, integers(5, 7), integer(0)]],
    { outputs: 2 },
  ),
  row('Unpack', [int('num', 2), float, int('axis', 1)], [[drawn(12, 2, 40)]], { outputs: 2 }),
  // Windows beside each other as in the STL stem, and such that overlap as in ImageNet's.
  ...[2, 3].flatMap((size) => [
    row('MaxPool', pool(size), [[positive(3, 11, 9, 16)]], { typed: [0] }),
    row('MaxPoolGrad', pool(size), [[positive(3, 11, 9, 16), positive(3, 5, 4, 16), drawn(3, 5, 4, 16)]], {
      typed: [0, 1, 2],
    }),
  ]),
];

/** On a CPU only: for the gradients of strided convolutions. */
export const cpuRows: readonly OperationRow[] = [
  row('Pad', [float, attribute.type('Tpaddings', 'int32')], [[map, aroundMap]], { typed: [0] }),
];

/** TensorFlow's own operations. */
export const rows: readonly OperationRow[] = [
  ...convolutions,
  ...norms,
  ...elementwise,
  ...products,
  ...reductions,
  ...shapes,
];

/**
 * What a graph is made of around the operations: constants, inputs, outputs, variables and the staging area (`prefetch.spec.ts`), which have
 * no form of their own outside a graph, and the optimizer's operation, which has. `operation-table.spec.ts` compares what they carry.
 */
export const plumbing: readonly string[] = [
  ...['Const', 'VarHandleOp dtype=1', 'ReadVariableOp dtype=1', 'AssignVariableOp dtype=1', 'DeepCopy T=1'],
  ...['Stage dtypes=[4]', 'Unstage dtypes=[4]', 'DeepCopy T=4', 'EnsureShape T=4'],
  ...['Placeholder dtype=1', 'Placeholder dtype=4', 'Identity T=1', 'Identity T=3'],
  ...['ResourceApplyMomentum T=1 use_locking=false use_nesterov=false'],
  ...['ResourceApplyMomentum T=1 use_locking=false use_nesterov=true'],
];
