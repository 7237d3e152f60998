// TensorFlow's SavedModel: a graph with its signatures (tensorflow/core/protobuf/saved_model.proto, meta_graph.proto).
import { KindredError } from '@kindred/errors';
import { encodeMessage, type MessageWriter } from './message-writer.js';

/** TensorFlow's data type numbers (tensorflow/core/framework/types.proto), of the types that graphs here have. */
export const graphDataTypes = { float32: 1, int32: 3, uint8: 4, bool: 10 } as const;

/** TensorFlow's attribute type numbers (`TF_AttrType` of tensorflow/c/c_api.h). */
export const graphAttributeTypes = { string: 0, int: 1, float: 2, bool: 3, type: 4, shape: 5 } as const;

/** An attribute of an operation; an array as value is a list, except for a shape, which is always one (-1: any size). */
export interface GraphAttribute {
  readonly name: string;
  /** One of {@link graphAttributeTypes}. */
  readonly type: number;
  readonly value: unknown;
}

/** A constant's value, elements little-endian in C order. */
export interface GraphConstant {
  /** One of {@link graphDataTypes}. */
  readonly dtype: number;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** One operation of a graph. An input is `node`, `node:1` for a further output, or `^node` for "after it". */
export interface GraphNode {
  readonly name: string;
  readonly op: string;
  readonly attributes: readonly GraphAttribute[];
  readonly inputs: readonly string[];
  /** The value of a `Const`, else null. */
  readonly constant: GraphConstant | null;
}

/** A tensor of a graph as a signature names it. */
export interface GraphTensor {
  /** Node and output, e.g. `images:0`. */
  readonly tensor: string;
  readonly dtype: number;
  /** -1: any size. */
  readonly shape: readonly number[];
}

/** A function of a SavedModel for those who load it. */
export interface GraphSignature {
  readonly inputs: Readonly<Record<string, GraphTensor>>;
  readonly outputs: Readonly<Record<string, GraphTensor>>;
}

/** What a SavedModel holds. */
export interface SavedModel {
  /** Name of this form of the graph: TensorFlow Serving asks for `serve`. */
  readonly tag: string;
  readonly nodes: readonly GraphNode[];
  /** @default none */
  readonly signatures?: Readonly<Record<string, GraphSignature>>;
}

/** Older producers get compatibility behaviour from TensorFlow; this is the number of TensorFlow 2.9, which all later ones read. */
const producerVersion = 1087;
const predictMethod = 'tensorflow/serving/predict';
/** Protocol buffers' own limit of a message. */
const maxBytes = 2 ** 31 - 1;

/**
 * The bytes of `saved_model.pb`. @throws KindredError RESOURCE_EXHAUSTED past 2 GiB, UNIMPLEMENTED for an attribute type that is
 * not in {@link graphAttributeTypes}.
 */
export function encodeSavedModel({ tag, nodes, signatures = {} }: SavedModel): Uint8Array {
  const constants = nodes.reduce((sum, { constant }) => sum + (constant?.bytes.length ?? 0), 0);
  const tooLarge = (size: number): KindredError =>
    new KindredError('RESOURCE_EXHAUSTED', `SavedModel: got ${size} bytes; allowed: ${maxBytes}`);
  if (constants > maxBytes) throw tooLarge(constants);
  const bytes = encodeMessage((savedModel) => {
    savedModel.whole(1, 1);
    savedModel.message(2, (metaGraph) => {
      metaGraph.message(1, (info) => info.text(4, tag));
      metaGraph.message(2, (graph) => {
        for (const node of nodes) graph.message(1, (message) => writeNode(message, node));
        graph.message(4, (versions) => versions.whole(1, producerVersion));
      });
      writeMap(metaGraph, 5, signatures, (message, { inputs, outputs }) => {
        writeMap(message, 1, inputs, writeTensorInfo);
        writeMap(message, 2, outputs, writeTensorInfo);
        message.text(3, predictMethod);
      });
    });
  });
  if (bytes.length > maxBytes) throw tooLarge(bytes.length);
  return bytes;
}

function writeNode(message: MessageWriter, { name, op, attributes, inputs, constant }: GraphNode): void {
  message.text(1, name);
  message.text(2, op);
  // TensorFlow wants control inputs after data inputs.
  for (const input of inputs) if (!input.startsWith('^')) message.text(3, input);
  for (const input of inputs) if (input.startsWith('^')) message.text(3, input);
  const entries: [string, (value: MessageWriter) => void][] = attributes.map((attribute) => [
    attribute.name,
    (value) => writeAttribute(value, op, attribute),
  ]);
  if (constant !== null) {
    entries.push(
      ['dtype', (value) => value.whole(6, constant.dtype)],
      ['value', (value) => value.message(8, (tensor) => writeTensor(tensor, constant))],
    );
  }
  writeMap(message, 5, Object.fromEntries(entries), (value, write) => write(value));
}

function writeAttribute(message: MessageWriter, op: string, attribute: GraphAttribute): void {
  const { type, value } = attribute;
  if (type === graphAttributeTypes.shape) message.message(7, (shape) => writeShape(shape, value as readonly number[]));
  else if (Array.isArray(value)) {
    message.message(1, (list) => {
      for (const item of value as unknown[]) writeScalar(list, op, attribute, item);
    });
  } else writeScalar(message, op, attribute, value);
}

function writeScalar(message: MessageWriter, op: string, { name, type }: GraphAttribute, value: unknown): void {
  switch (type) {
    case graphAttributeTypes.string:
      return message.text(2, String(value));
    case graphAttributeTypes.int:
      return message.whole(3, Number(value));
    case graphAttributeTypes.float:
      return message.float(4, Number(value));
    case graphAttributeTypes.bool:
      return message.whole(5, value === true ? 1 : 0);
    case graphAttributeTypes.type:
      return message.whole(6, Number(value));
    default:
      throw new KindredError(
        'UNIMPLEMENTED',
        `operation ${op} has attribute '${name}' of type ${type}, which no graph here can hold`,
      );
  }
}

function writeTensor(message: MessageWriter, { dtype, shape, bytes }: GraphConstant): void {
  message.whole(1, dtype);
  message.message(2, (inner) => writeShape(inner, shape));
  message.bytes(4, bytes);
}

function writeTensorInfo(message: MessageWriter, { tensor, dtype, shape }: GraphTensor): void {
  message.text(1, tensor);
  message.whole(2, dtype);
  message.message(3, (inner) => writeShape(inner, shape));
}

function writeShape(message: MessageWriter, shape: readonly number[]): void {
  for (const size of shape) message.message(2, (dimension) => dimension.whole(1, size));
}

function writeMap<T>(
  message: MessageWriter,
  field: number,
  entries: Readonly<Record<string, T>>,
  write: (value: MessageWriter, entry: T) => void,
): void {
  for (const [key, entry] of Object.entries(entries)) {
    message.message(field, (pair) => {
      pair.text(1, key);
      pair.message(2, (value) => write(value, entry));
    });
  }
}
