// The tensor as files know it: dtype, shape and a typed array, with no backend behind it.
import { KindredError } from '@kindred/errors';

/** Typed array that holds each dtype; F16 and BF16 stay raw 16-bit patterns. All are little-endian on disk and in memory. */
export interface TensorDataByDtype {
  F64: Float64Array;
  F32: Float32Array;
  F16: Uint16Array;
  BF16: Uint16Array;
  I64: BigInt64Array;
  I32: Int32Array;
  U8: Uint8Array;
}

/** Element types, named as safetensors names them. */
export type TensorDtype = keyof TensorDataByDtype;

/** A row-major tensor; a scalar has shape `[]` and one element. */
export interface Tensor<D extends TensorDtype = TensorDtype> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: TensorDataByDtype[D];
}

/** Named tensors; a Map keeps the order of PyTorch's `state_dict`. */
export type NamedTensors = ReadonlyMap<string, Tensor>;

interface Constructor<T> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
}

const constructors: { readonly [D in TensorDtype]: Constructor<TensorDataByDtype[D]> } = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I64: BigInt64Array,
  I32: Int32Array,
  U8: Uint8Array,
};

/** Every supported {@link TensorDtype}. */
export const tensorDtypes = Object.keys(constructors) as readonly TensorDtype[];

/** Bytes of one element. */
export function bytesPerElement(dtype: TensorDtype): number {
  return constructors[dtype].BYTES_PER_ELEMENT;
}

/** Whether `name` is one of {@link tensorDtypes}. */
export function isTensorDtype(name: unknown): name is TensorDtype {
  return typeof name === 'string' && Object.hasOwn(constructors, name);
}

/**
 * Number of elements of `shape`, or `null` when a dimension is no whole number of 0 or more, or the product is past 2^53.
 * The empty shape has one element.
 */
export function elementCount(shape: readonly unknown[]): number | null {
  let count = 1;
  for (const dimension of shape) {
    if (typeof dimension !== 'number' || !Number.isSafeInteger(dimension) || dimension < 0) return null;
    count *= dimension;
    if (!Number.isSafeInteger(count)) return null;
  }
  return count;
}

/** A checked {@link Tensor}; INVALID_ARGUMENT when the array's type or length does not fit dtype and shape. */
export function tensor<D extends TensorDtype>(
  dtype: D,
  shape: readonly number[],
  data: TensorDataByDtype[D],
): Tensor<D> {
  checkTensor('tensor', { dtype, shape, data });
  return { dtype, shape, data };
}

/** Throws INVALID_ARGUMENT unless array type and length fit dtype and shape; `name` starts the message. */
export function checkTensor(name: string, { dtype, shape, data }: Tensor): void {
  const expected = elementCount(shape);
  const fits = isTensorDtype(dtype) && data instanceof (constructors[dtype] as unknown as new () => object);
  if (fits && expected === data.length) return;
  throw new KindredError(
    'INVALID_ARGUMENT',
    `tensor '${name}': got ${data.length} elements in a ${data.constructor.name} for dtype ${dtype} and shape [${shape.join(', ')}]; ` +
      `allowed: ${expected ?? 'a shape of whole numbers and as many'} elements, dtypes ${tensorDtypes.join(', ')}`,
  );
}

/**
 * `count` elements of `dtype` that start at `byteOffset` of `bytes`: a view where memory is aligned for it, else a copy.
 * The caller has checked that the range lies inside `bytes`.
 */
export function viewElements<D extends TensorDtype>(
  dtype: D,
  bytes: Uint8Array,
  byteOffset: number,
  count: number,
): TensorDataByDtype[D] {
  const Type = constructors[dtype];
  const start = bytes.byteOffset + byteOffset;
  if (start % Type.BYTES_PER_ELEMENT === 0) return new Type(bytes.buffer, start, count);
  const copy = new Uint8Array(count * Type.BYTES_PER_ELEMENT);
  copy.set(bytes.subarray(byteOffset, byteOffset + copy.length));
  return new Type(copy.buffer, 0, count);
}

/** The bytes of a tensor's elements, as a view. */
export function elementBytes(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** A tensor's elements as float32, converting halves, bfloat16 and whole numbers; F32 comes back as it is, without a copy. */
export function toFloat32({ dtype, data }: Tensor): Float32Array {
  if (data instanceof Float32Array) return data;
  if (data instanceof BigInt64Array) return Float32Array.from(data, Number);
  if (dtype === 'F16') return Float32Array.from(data as Uint16Array, halfToNumber);
  if (dtype === 'BF16') {
    const bits = Uint32Array.from(data as Uint16Array, (value) => value << 16);
    return new Float32Array(bits.buffer);
  }
  return Float32Array.from(data as Uint8Array | Int32Array | Float64Array);
}

/** The number that an IEEE 754 binary16 pattern stands for. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
