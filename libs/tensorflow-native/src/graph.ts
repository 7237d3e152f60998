// A TensorFlow graph as data, and its form as a SavedModel on disk (tensorflow/core/protobuf/saved_model.proto).
import { KindredError } from '@kindred/errors';
import { attributeTypes } from './native.js';
import { bytesField, concat, floatField, varintField } from './wire.js';
import type { OpAttribute } from './native.js';
import type { Encoded } from './wire.js';

/** The tag under which the graph is stored and loaded. */
export const graphTag = 'kindred';

/** A constant's value. */
export interface ConstantValue {
  readonly dtype: number;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** One operation of a graph. An input is `node`, `node:1` for a further output, or `^node` for "after it". */
export interface GraphNode {
  readonly name: string;
  readonly op: string;
  readonly attributes: readonly OpAttribute[];
  readonly inputs: readonly string[];
  /** The value of a `Const`, else null. */
  readonly constant: ConstantValue | null;
}

// Older producers get compatibility behaviour from TensorFlow; this is the number of TensorFlow 2.9, the addon's headers.
const producerVersion = 1087;

/** Drops the nodes that none of `targets` needs. */
export function pruneGraph(nodes: readonly GraphNode[], targets: readonly string[]): GraphNode[] {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const needed = new Set<string>();
  const open = [...targets];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const plain = nodeOf(name);
    if (needed.has(plain)) continue;
    const node = byName.get(plain);
    if (node === undefined)
      throw new KindredError('INTERNAL', `the compiled graph refers to '${plain}', which it does not hold`);
    needed.add(plain);
    open.push(...node.inputs);
  }
  return nodes.filter(({ name }) => needed.has(name));
}

/** The bytes of `saved_model.pb`. */
export function encodeSavedModel(nodes: readonly GraphNode[]): Encoded {
  const versions = varintField(1, producerVersion);
  const graph = concat([...nodes.map((node) => bytesField(1, encodeNode(node))), bytesField(4, versions)]);
  const metaGraph = concat([bytesField(1, bytesField(4, graphTag)), bytesField(2, graph)]);
  return concat([varintField(1, 1), bytesField(2, metaGraph)]);
}

/** The node's name in an input reference. */
export function nodeOf(reference: string): string {
  return reference.replace(/^\^/, '').replace(/:\d+$/, '');
}

function encodeNode({ name, op, attributes, inputs, constant }: GraphNode): Encoded {
  // TensorFlow wants control inputs after data inputs.
  const ordered = [
    ...inputs.filter((input) => !input.startsWith('^')),
    ...inputs.filter((input) => input.startsWith('^')),
  ];
  const entries = attributes.map((entry) => encodeEntry(entry.name, encodeAttribute(op, entry)));
  if (constant !== null) {
    entries.push(
      encodeEntry('dtype', varintField(6, constant.dtype)),
      encodeEntry('value', bytesField(8, encodeTensor(constant))),
    );
  }
  return concat([
    bytesField(1, name),
    bytesField(2, op),
    ...ordered.map((input) => bytesField(3, input)),
    ...entries.map((entry) => bytesField(5, entry)),
  ]);
}

function encodeEntry(key: string, value: Encoded): Encoded {
  return concat([bytesField(1, key), bytesField(2, value)]);
}

function encodeAttribute(op: string, { name, type, value }: OpAttribute): Encoded {
  if (type === attributeTypes.shape) return bytesField(7, encodeShape(value as readonly number[]));
  if (Array.isArray(value))
    return bytesField(1, concat((value as unknown[]).map((item) => encodeScalar(op, name, type, item))));
  return encodeScalar(op, name, type, value);
}

function encodeScalar(op: string, name: string, type: number, value: unknown): Encoded {
  switch (type) {
    case attributeTypes.string:
      return bytesField(2, String(value));
    case attributeTypes.int:
      return varintField(3, Number(value));
    case attributeTypes.float:
      return floatField(4, Number(value));
    case attributeTypes.bool:
      return varintField(5, value === true ? 1 : 0);
    case attributeTypes.type:
      return varintField(6, Number(value));
    default:
      throw new KindredError(
        'UNIMPLEMENTED',
        `operation ${op} has attribute '${name}' of type ${type}, which no compiled graph can hold`,
      );
  }
}

/** A shape; -1 is a size not known before the run. */
function encodeShape(shape: readonly number[]): Encoded {
  return concat(shape.map((size) => bytesField(2, varintField(1, size))));
}

function encodeTensor({ dtype, shape, bytes }: ConstantValue): Encoded {
  return concat([varintField(1, dtype), bytesField(2, encodeShape(shape)), bytesField(4, bytes)]);
}
