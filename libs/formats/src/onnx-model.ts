// ONNX models: a graph of standard operators with its weights (onnx/onnx.proto of the ONNX standard), writing only.
import { KindredError } from '@kindred/errors';
import { encodeMessage, type MessageWriter } from './message-writer.js';

/** ONNX's element types (TensorProto.DataType) that models here have. */
export const onnxDataTypes = { float32: 1, uint8: 2, int64: 7 } as const;

/** An element type by name. */
export type OnnxDataType = keyof typeof onnxDataTypes;

/** Value of an operator's attribute: a whole number, a list of them, or `{ float }`. */
export type OnnxAttributeValue = number | readonly number[] | { readonly float: number };

/** One operator. */
export interface OnnxNode {
  readonly name: string;
  /** Operator of the default domain, e.g. `Conv`. */
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** @default none */
  readonly attributes?: Readonly<Record<string, OnnxAttributeValue>>;
}

/** A value that goes in or comes out. A text in the shape names a size that is free. */
export interface OnnxValue {
  readonly name: string;
  readonly dtype: OnnxDataType;
  readonly shape: readonly (number | string)[];
}

/** A constant of the graph, elements little-endian in C order. */
export interface OnnxTensor {
  readonly name: string;
  readonly dtype: OnnxDataType;
  readonly shape: readonly number[];
  readonly data: Float32Array | BigInt64Array;
}

/** A model. */
export interface OnnxModel {
  readonly name: string;
  /** Version of the default operator set that the nodes keep to. */
  readonly operatorSet: number;
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly nodes: readonly OnnxNode[];
  readonly constants: readonly OnnxTensor[];
  /** For people. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Version of the file format: that of ONNX 1.12, which goes with operator set 17. */
const fileVersion = 8;
const producer = 'kindred';
const attributeKinds = { float: 1, int: 2, ints: 7 } as const;
/** Protocol buffers' own limit of a message. */
const maxBytes = 2 ** 31 - 1;

/** The bytes of a `.onnx` file. @throws KindredError RESOURCE_EXHAUSTED past 2 GiB. */
export function encodeOnnxModel(model: OnnxModel): Uint8Array {
  const { name, operatorSet, inputs, outputs, nodes, constants, metadata } = model;
  const size = constants.reduce((sum, { data }) => sum + data.byteLength, 0);
  if (size > maxBytes) {
    throw new KindredError(
      'RESOURCE_EXHAUSTED',
      `ONNX: got ${size} bytes of weights; allowed: ${maxBytes} in one file`,
    );
  }
  return encodeMessage((message) => {
    message.whole(1, fileVersion);
    message.text(2, producer);
    message.message(7, (graph) => {
      for (const node of nodes) graph.message(1, (inner) => writeNode(inner, node));
      graph.text(2, name);
      for (const constant of constants) graph.message(5, (inner) => writeTensor(inner, constant));
      for (const value of inputs) graph.message(11, (inner) => writeValue(inner, value));
      for (const value of outputs) graph.message(12, (inner) => writeValue(inner, value));
    });
    message.message(8, (operators) => {
      operators.text(1, '');
      operators.whole(2, operatorSet);
    });
    for (const [key, value] of Object.entries(metadata)) {
      message.message(14, (pair) => {
        pair.text(1, key);
        pair.text(2, value);
      });
    }
  });
}

function writeNode(message: MessageWriter, { name, op, inputs, outputs, attributes = {} }: OnnxNode): void {
  for (const input of inputs) message.text(1, input);
  for (const output of outputs) message.text(2, output);
  message.text(3, name);
  message.text(4, op);
  for (const [key, value] of Object.entries(attributes)) {
    message.message(5, (attribute) => writeAttribute(attribute, key, value));
  }
}

function writeAttribute(message: MessageWriter, name: string, value: OnnxAttributeValue): void {
  message.text(1, name);
  if (typeof value === 'number') {
    message.whole(3, value);
    message.whole(20, attributeKinds.int);
  } else if ('float' in value) {
    message.float(2, value.float);
    message.whole(20, attributeKinds.float);
  } else {
    for (const item of value) message.whole(8, item);
    message.whole(20, attributeKinds.ints);
  }
}

function writeTensor(message: MessageWriter, { name, dtype, shape, data }: OnnxTensor): void {
  for (const size of shape) message.whole(1, size);
  message.whole(2, onnxDataTypes[dtype]);
  message.text(8, name);
  message.bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

function writeValue(message: MessageWriter, { name, dtype, shape }: OnnxValue): void {
  message.text(1, name);
  message.message(2, (type) => {
    type.message(1, (tensor) => {
      tensor.whole(1, onnxDataTypes[dtype]);
      tensor.message(2, (dimensions) => {
        for (const size of shape) {
          dimensions.message(1, (dimension) => {
            if (typeof size === 'number') dimension.whole(1, size);
            else dimension.text(2, size);
          });
        }
      });
    });
  });
}
