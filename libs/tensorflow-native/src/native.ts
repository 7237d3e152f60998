// The native addon and its tfjs backend as this library uses them: typed by hand, because the package exports no types for them.
import { graphAttributeTypes, graphDataTypes } from '@kindred/formats';
import type { GraphAttribute } from '@kindred/formats';
import type * as tf from '@tensorflow/tfjs-core';

/** TensorFlow's data type numbers. */
export const dataTypes = graphDataTypes;

/** A data type that inputs, state and outputs of a compiled function can have. */
export type DataType = keyof typeof dataTypes;

/** TensorFlow's attribute type numbers: files have those of its C API, and so has the addon. */
export const attributeTypes = graphAttributeTypes;

/** An attribute of an operation, as the addon takes it. */
export type OpAttribute = GraphAttribute;

/** A tensor that an operation gave. */
export interface TensorMetadata {
  readonly id: number;
  readonly shape: readonly number[];
  readonly dtype: number;
}

/** What a tensor is made of in JavaScript. */
export type TensorValues = Float32Array | Int32Array | Uint8Array | readonly unknown[];

/** The addon's functions. Ids count up and are never used twice. */
export interface NativeBinding {
  createTensor(shape: readonly number[], dtype: number, values: TensorValues): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): Float32Array | Int32Array | Uint8Array;
  executeOp(
    name: string,
    attributes: readonly OpAttribute[],
    inputs: readonly number[],
    outputs: number,
  ): TensorMetadata[];
  loadSavedModel(folder: string, tags: string): number;
  deleteSavedModel(id: number): void;
  runSavedModel(id: number, inputs: readonly number[], inputNames: string, outputNames: string): TensorMetadata[];
  getNumOfTensors(): number;
  isUsingGpuDevice(): boolean;
  readonly TF_Version: string;
}

/** The node backend of tfjs. `binding` may be replaced, which is how calls are recorded. */
export interface NativeBackend {
  binding: NativeBinding;
  createOutputTensor(metadata: TensorMetadata): tf.Tensor;
  getInputTensorIds(tensors: readonly tf.Tensor[]): number[];
  executeSingleOutput(name: string, attributes: readonly OpAttribute[], inputs: readonly tf.Tensor[]): tf.Tensor;
  executeMultipleOutputs(
    name: string,
    attributes: readonly OpAttribute[],
    inputs: readonly tf.Tensor[],
    outputs: number,
  ): tf.Tensor[];
}

/** Attributes by kind, short to write. */
export const attribute = {
  type: (name: string, dtype: DataType): OpAttribute => ({ name, type: attributeTypes.type, value: dataTypes[dtype] }),
  ints: (name: string, value: readonly number[]): OpAttribute => ({ name, type: attributeTypes.int, value }),
  float: (name: string, value: number): OpAttribute => ({ name, type: attributeTypes.float, value }),
  bool: (name: string, value: boolean): OpAttribute => ({ name, type: attributeTypes.bool, value }),
  string: (name: string, value: string): OpAttribute => ({ name, type: attributeTypes.string, value }),
} as const;
