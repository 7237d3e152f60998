// Mixed precision as a pass over a recorded graph: the network's operations compute in 16 bits, all else stays float32.
import { attributeTypes, dataTypes } from './native.js';
import { nodeOf } from './graph.js';
import type { GraphNode } from './graph.js';

/**
 * What the network computes in. Parameters, momentum, running statistics, the loss and its gradient are float32 in each.
 * `bfloat16` has float32's range and 8 bits of precision; `float16` has 11 bits and needs its loss scaled, because
 * gradients below 6e-8 vanish in it (Micikevicius et al. 2018, arXiv:1710.03740).
 */
export type Precision = 'float32' | 'bfloat16' | 'float16';

/** TensorFlow's numbers of the 16-bit types (`tensorflow/core/framework/types.proto`). */
export const lowTypes = { bfloat16: 14, float16: 19 } as const;

/** How an operation takes part. Only its first output is of the low type. */
interface Role {
  /** Inputs of the operation's type T; its others (sizes, statistics) keep theirs. */
  readonly typed: readonly number[];
  /** Inputs that must all be low for the operation to be; none: it always is. */
  readonly follows: readonly number[];
}

const always = (...typed: number[]): Role => ({ typed, follows: [] });

// Always low: where the arithmetic is. A product is the network's if it is `MatMul`, which only our linear layers are; tfjs
// records the loss's similarities as `BatchMatMulV2`. Low after low: what lies between those and neither sums nor divides.
const roles: Readonly<Record<string, Role>> = {
  Conv2D: always(0, 1),
  Conv2DBackpropInput: always(1, 2),
  Conv2DBackpropFilter: always(0, 2),
  MatMul: always(0, 1),
  // Scale, offset and statistics are of type U, which stays float32.
  FusedBatchNormV3: always(0),
  FusedBatchNormGradV3: always(0, 1),
  Relu: { typed: [0], follows: [0] },
  // The gradient comes in float32 from the average; the activation says where this is.
  ReluGrad: { typed: [0, 1], follows: [1] },
  // A weight's gradient is low, its decay or sum is not: that addition is float32.
  Add: { typed: [0, 1], follows: [0, 1] },
  AddV2: { typed: [0, 1], follows: [0, 1] },
  BiasAdd: { typed: [0, 1], follows: [0] },
  Pad: { typed: [0], follows: [0] },
  PadV2: { typed: [0, 2], follows: [0] },
  Slice: { typed: [0], follows: [0] },
  MaxPool: { typed: [0], follows: [0] },
  MaxPoolGrad: { typed: [0, 1, 2], follows: [0] },
};

/**
 * Rewrites a recorded function for `precision`. A value is cast where an operation of the other type reads it, once for all
 * its readers. The nodes must be in the order of execution; own operations (`Kindred…`) are float32 and stay so.
 */
export function applyPrecision(nodes: readonly GraphNode[], precision: Precision): GraphNode[] {
  if (precision === 'float32') return [...nodes];
  const low = lowTypes[precision];
  const isLow = findLowNodes(nodes);
  const result: GraphNode[] = [];
  const casts = new Set<string>();
  const cast = (reference: string, type: number): string => {
    const name = `${reference.replace(':', '/')}/${type === low ? precision : 'float32'}`;
    if (!casts.has(name)) result.push(castNode(name, reference, type === low ? dataTypes.float32 : low, type));
    casts.add(name);
    return name;
  };
  for (const node of nodes) {
    const lowHere = isLow(node.name);
    const inputs = node.inputs.map((reference, index) => {
      const typed = lowHere && roles[node.op]?.typed.includes(index) === true;
      if (reference.startsWith('^') || isLow(reference) === typed) return reference;
      return cast(reference, typed ? low : dataTypes.float32);
    });
    result.push({ ...node, inputs, attributes: lowHere ? withType(node.attributes, low) : node.attributes });
  }
  return result;
}

/** Whether a reference (a node's first output) is of the low type. */
function findLowNodes(nodes: readonly GraphNode[]): (reference: string) => boolean {
  const low = new Set<string>();
  const isLow = (reference: string): boolean => reference === nodeOf(reference) && low.has(reference);
  for (const { name, op, attributes, inputs } of nodes) {
    const role = roles[op];
    const real = attributes.some((entry) => entry.name === 'T' && entry.value === dataTypes.float32);
    if (role !== undefined && real && role.follows.every((index) => isLow(inputs[index] ?? ''))) low.add(name);
  }
  return isLow;
}

function withType(attributes: GraphNode['attributes'], type: number): GraphNode['attributes'] {
  return attributes.map((entry) => (entry.name === 'T' ? { ...entry, value: type } : entry));
}

function castNode(name: string, input: string, from: number, to: number): GraphNode {
  const attributes = [
    { name: 'SrcT', type: attributeTypes.type, value: from },
    { name: 'DstT', type: attributeTypes.type, value: to },
    { name: 'Truncate', type: attributeTypes.bool, value: false },
  ];
  return { name, op: 'Cast', attributes, inputs: [input], constant: null };
}
