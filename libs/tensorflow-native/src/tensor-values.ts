// Sizes and typed arrays of tensors that cross the native wall.
import { invalidField } from '@kindred/errors';
import type { DataType } from './native.js';
import type { InputDefinition } from './program-definition.js';

/** Number of values of a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
/** Zeros in the array type that a data type has in JavaScript. */
export function emptyArray(dtype: DataType, length: number): Float32Array | Int32Array | Uint8Array {
  if (dtype === 'float32') return new Float32Array(length);
  return dtype === 'int32' ? new Int32Array(length) : new Uint8Array(length);
}
/**
 * Checks an input's shape, type and length.
 *
 * @throws KindredError INVALID_ARGUMENT naming `field`.
 */
export function checkInput(
  field: string,
  { dtype, shape: allowed }: InputDefinition,
  shape: readonly number[],
  values: Float32Array | Int32Array | Uint8Array | undefined,
): Float32Array | Int32Array | Uint8Array {
  const fits =
    shape.length === allowed.length &&
    allowed.every((size, axis) => (size === -1 ? (shape[axis] ?? -1) >= 0 : size === shape[axis]));
  if (!fits)
    throw invalidField(field, `got shape [${shape.join(', ')}]; allowed: [${allowed.join(', ')}] (-1: any size)`);
  if (values === undefined) throw invalidField(field, 'missing');
  if (values.constructor !== emptyArray(dtype, 0).constructor) {
    throw invalidField(field, `got ${values.constructor.name}; allowed: ${emptyArray(dtype, 0).constructor.name}`);
  }
  if (values.length !== sizeOf(shape))
    throw invalidField(field, `got ${values.length} values; allowed: ${sizeOf(shape)} for shape [${shape.join(', ')}]`);
  return values;
}
