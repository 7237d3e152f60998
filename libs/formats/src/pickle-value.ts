// The values that a PyTorch file may hold once read, and the storages that its tensors live in.
import type { Tensor, TensorDtype } from './tensor.js';

/** A key of a Python dict as PyTorch's files use them. */
export type PickleKey = string | number | bigint | boolean | null;

/**
 * Data of a PyTorch file: dicts are Maps in order, lists and tuples are arrays, whole numbers past 2^53 are bigints. A number
 * without a fraction is written as a Python int; {@link PickleFloat} forces a float.
 */
export type PickleValue =
  PickleKey | PickleFloat | Tensor | readonly PickleValue[] | ReadonlyMap<PickleKey, PickleValue>;

/** A number to be written as a Python float even when it has no fraction; reading gives plain numbers. */
export interface PickleFloat {
  readonly float: number;
}

/** PyTorch's storage class of each dtype, in module `torch`. */
export const storageClasses: { readonly [D in TensorDtype]: string } = {
  F64: 'DoubleStorage',
  F32: 'FloatStorage',
  F16: 'HalfStorage',
  BF16: 'BFloat16Storage',
  I64: 'LongStorage',
  I32: 'IntStorage',
  U8: 'ByteStorage',
};

/** Whether a value is a {@link Tensor}. */
export function isTensor(value: unknown): value is Tensor {
  return typeof value === 'object' && value !== null && 'dtype' in value && 'shape' in value && 'data' in value;
}
