// What a row of the operation table is, and how its inputs are made.
import { attributeTypes } from '../native.js';
import { emptyArray, sizeOf } from '../tensor-values.js';
import type { DataType, OpAttribute } from '../native.js';

/** One input: fed to the graph, or where `constant` a constant in it, as sizes and axes are. */
export interface RowInput {
  readonly dtype: DataType;
  readonly shape: readonly number[];
  readonly values: Float32Array | Int32Array | Uint8Array;
  readonly constant: boolean;
}

/** One operation with one set of attributes. */
export interface OperationRow {
  readonly op: string;
  readonly attributes: readonly OpAttribute[];
  /** Inputs of each case. */
  readonly cases: readonly (readonly RowInput[])[];
  /** Outputs that the operation has, and how many of them anything reads. */
  readonly outputs: number;
  readonly read: number;
  /** Inputs of the type T that the operation also computes in 16 bits with; empty: it is float32 in each precision. */
  readonly typed: readonly number[];
}

/** The operation with its attributes as one text, in which the order of the attributes makes no difference. Sizes do not count. */
export function signatureOf(op: string, attributes: readonly OpAttribute[]): string {
  const counted = attributes.filter(({ type, name }) => type !== attributeTypes.shape && name !== 'shared_name');
  const texts = counted.map(({ name, value }) => `${name}=${JSON.stringify(value)}`).sort();
  return [op, ...texts].join(' ');
}

/** float32 between -1 and 1, drawn by formula. */
export function drawn(...shape: number[]): RowInput {
  return input('float32', shape, (i) => (hash(i + 7 * sizeOf(shape)) % 20_001) / 10_000 - 1);
}

/** float32 between 0.5 and 1.5. */
export function positive(...shape: number[]): RowInput {
  return input('float32', shape, (i) => (hash(i + 3 * sizeOf(shape)) % 10_001) / 10_000 + 0.5);
}

/** A constant float32 number. */
export function scalar(value: number): RowInput {
  return { dtype: 'float32', shape: [], values: Float32Array.of(value), constant: true };
}

/** Sizes, axes or places: int32, made in JavaScript as in the functions. */
export function integers(...values: number[]): RowInput {
  return { dtype: 'int32', shape: [values.length], values: Int32Array.from(values), constant: true };
}

/** A constant int32 number. */
export function integer(value: number): RowInput {
  return { dtype: 'int32', shape: [], values: Int32Array.of(value), constant: true };
}

/** Rows of two: what is put before and behind each axis. */
export function frame(...pairs: [number, number][]): RowInput {
  return { dtype: 'int32', shape: [pairs.length, 2], values: Int32Array.from(pairs.flat()), constant: true };
}

/** An input that is fed, each value by its index. */
export function input(dtype: DataType, shape: readonly number[], value: (index: number) => number): RowInput {
  return { dtype, shape, values: emptyArray(dtype, sizeOf(shape)).map((_, i) => value(i)), constant: false };
}

/** A number that says nothing of its index. */
export function hash(value: number): number {
  const mixed = Math.imul(value ^ 0x9e3779b9, 0x85ebca6b);
  return Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35) >>> 8;
}

interface Extras {
  readonly outputs?: number;
  readonly read?: number;
  readonly typed?: readonly number[];
}

/** One row; all outputs are read where nothing else is said. */
export function row(
  op: string,
  attributes: readonly OpAttribute[],
  cases: OperationRow['cases'],
  { outputs = 1, read = outputs, typed = [] }: Extras = {},
): OperationRow {
  return { op, attributes, cases, outputs, read, typed };
}
