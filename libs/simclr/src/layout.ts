// Tensor layouts: PyTorch's (OIHW, [out, in]) and TensorFlow's (HWIO, [in, out]), converted in pairs.
import { parameterSize } from './specification.js';
import type { ParameterKind } from './specification.js';

/** The shape that a tensor of PyTorch shape `shape` has in TensorFlow's layout. */
export function tensorFlowShape(shape: readonly number[], kind: ParameterKind): number[] {
  return order(kind, shape.length).map((axis) => shape[axis] ?? 1);
}

/** Copies values from PyTorch's layout to TensorFlow's; `shape` is PyTorch's. Lossless. */
export function toTensorFlowLayout(values: Float32Array, shape: readonly number[], kind: ParameterKind): Float32Array {
  return permute(values, shape, order(kind, shape.length));
}

/** Copies values from TensorFlow's layout to PyTorch's; `shape` is PyTorch's. The inverse of {@link toTensorFlowLayout}. */
export function toPyTorchLayout(values: Float32Array, shape: readonly number[], kind: ParameterKind): Float32Array {
  const forward = order(kind, shape.length);
  const inverse = forward.map((_, axis) => forward.indexOf(axis));
  return permute(values, tensorFlowShape(shape, kind), inverse);
}

/** For each TensorFlow axis, the PyTorch axis it shows. */
function order(kind: ParameterKind, rank: number): number[] {
  if (kind === 'convolution-weight') return [2, 3, 1, 0];
  if (kind === 'linear-weight') return [1, 0];
  return Array.from({ length: rank }, (_, axis) => axis);
}

function permute(values: Float32Array, shape: readonly number[], axes: readonly number[]): Float32Array {
  if (axes.every((axis, index) => axis === index)) return values.slice();
  const strides = shape.map((_, axis) => parameterSize(shape.slice(axis + 1)));
  const sizes = axes.map((axis) => shape[axis] ?? 1);
  const steps = axes.map((axis) => strides[axis] ?? 1);
  const result = new Float32Array(values.length);
  const position = new Array<number>(sizes.length).fill(0);
  let source = 0;
  for (let target = 0; target < result.length; target++) {
    result[target] = values[source] ?? 0;
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      const step = steps[axis] ?? 0;
      const next = (position[axis] ?? 0) + 1;
      source += step;
      if (next < (sizes[axis] ?? 1)) {
        position[axis] = next;
        break;
      }
      source -= step * next;
      position[axis] = 0;
    }
  }
  return result;
}
