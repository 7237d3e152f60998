// Strided views made contiguous: PyTorch stores a transposed or sliced tensor as its storage, an offset and strides.
import type { TensorDataByDtype, TensorDtype } from './tensor.js';

/**
 * The elements at `offset + Σ index·stride` in row-major order of `shape`, copied to a new array. The caller has checked that
 * all of them lie inside `source`.
 */
export function gatherStrided<T extends TensorDataByDtype[TensorDtype]>(
  source: T,
  offset: number,
  shape: readonly number[],
  strides: readonly number[],
): T {
  const count = shape.reduce((product, length) => product * length, 1);
  const result = source.slice(0, 0).constructor as new (length: number) => T;
  const target = new result(count);
  const index = shape.map(() => 0);
  let at = offset;
  for (let i = 0; i < count; i++) {
    target[i] = source[at] as (typeof target)[number];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (index[axis] ?? 0) + 1;
      at += strides[axis] ?? 0;
      if (next < (shape[axis] ?? 0)) {
        index[axis] = next;
        break;
      }
      at -= next * (strides[axis] ?? 0);
      index[axis] = 0;
    }
  }
  return target;
}
