// Typed arrays to and from the little-endian bytes of the contract, without copying where alignment allows.
import { invalidField } from '@kindred/errors';

/** The bytes of a typed array, without a copy. Every platform that TensorFlow runs on is little-endian. */
export function bytesOf(array: Float32Array | Int32Array | Uint32Array | BigUint64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** Reads float32 values; `field` names the request's field in errors. */
export function float32Of(bytes: Uint8Array, field: string): Float32Array {
  const { buffer, offset, length } = aligned(bytes, 4, field);
  return new Float32Array(buffer, offset, length);
}

/** Reads int32 values; `field` names the request's field in errors. */
export function int32Of(bytes: Uint8Array, field: string): Int32Array {
  const { buffer, offset, length } = aligned(bytes, 4, field);
  return new Int32Array(buffer, offset, length);
}

/** Reads uint32 values; `field` names the request's field in errors. */
export function uint32Of(bytes: Uint8Array, field: string): Uint32Array {
  const { buffer, offset, length } = aligned(bytes, 4, field);
  return new Uint32Array(buffer, offset, length);
}

/** Reads uint64 values; `field` names the request's field in errors. */
export function uint64Of(bytes: Uint8Array, field: string): BigUint64Array {
  const { buffer, offset, length } = aligned(bytes, 8, field);
  return new BigUint64Array(buffer, offset, length);
}

function aligned(
  bytes: Uint8Array,
  size: number,
  field: string,
): { buffer: ArrayBufferLike; offset: number; length: number } {
  if (bytes.byteLength % size !== 0) {
    throw invalidField(field, `got ${bytes.byteLength} bytes; allowed: a multiple of ${size}`);
  }
  const source = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return { buffer: source.buffer, offset: source.byteOffset, length: source.byteLength / size };
}
