// The .npy format of NumPy (NEP 1): written as numpy.save writes it, byte for byte, and read back strictly.
import { KindredError } from '@kindred/errors';
import { damaged, unsupported } from './damage.js';
import { elementBytes, elementCount } from './tensor.js';

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** numpy.lib.format.ARRAY_ALIGN: data starts at a multiple of this. */
const alignment = 64;
/** numpy.lib.format.GROWTH_AXIS_MAX_DIGITS: room that NumPy leaves for the first dimension to grow in place. */
const growthDigits = 21;
/** numpy refuses longer headers too (max_header_size). */
const maxHeaderBytes = 10_000;

/** Typed array of each supported dtype, named as in NumPy's `descr` without the byte order. */
export interface NpyDataByDtype {
  u1: Uint8Array;
  i4: Int32Array;
  u4: Uint32Array;
  i8: BigInt64Array;
  f4: Float32Array;
  f8: Float64Array;
}

/** Element types of .npy files that are read and written here. */
export type NpyDtype = keyof NpyDataByDtype;

/** An array in C order. */
export interface NpyArray<D extends NpyDtype = NpyDtype> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: NpyDataByDtype[D];
}

const constructors = {
  u1: Uint8Array,
  i4: Int32Array,
  u4: Uint32Array,
  i8: BigInt64Array,
  f4: Float32Array,
  f8: Float64Array,
} as const;

const dtypes = Object.keys(constructors) as NpyDtype[];

/**
 * The .npy file of `data` in C order; the dtype follows from the typed array. Same bytes as `numpy.save`.
 * INVALID_ARGUMENT when the length is not the product of `shape`.
 */
export function encodeNpy(data: NpyDataByDtype[NpyDtype], shape: readonly number[]): Uint8Array {
  const dtype = dtypes.find((name) => data instanceof constructors[name]);
  if (dtype === undefined || elementCount(shape) !== data.length) {
    throw new KindredError(
      'INVALID_ARGUMENT',
      `npy: got a ${data.constructor.name} of ${data.length} elements for shape [${shape.join(', ')}]; ` +
        `allowed: as many elements as the shape's product, dtypes ${dtypes.join(', ')}`,
    );
  }
  const header = encodeNpyHeader(dtype, shape);
  const file = new Uint8Array(header.length + data.byteLength);
  file.set(header);
  file.set(elementBytes(data), header.length);
  return file;
}

/**
 * What stands before the elements in a .npy file of this dtype and shape, a multiple of 64 bytes long. Write it first, then
 * the elements in C order, for an array too large to hold at once.
 */
export function encodeNpyHeader(dtype: NpyDtype, shape: readonly number[]): Uint8Array {
  if (elementCount(shape) === null) {
    throw new KindredError(
      'INVALID_ARGUMENT',
      `npy: got shape [${shape.join(', ')}]; allowed: whole numbers, 0 or more`,
    );
  }
  const descr = dtype === 'u1' ? '|u1' : `<${dtype}`;
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  let text = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple}, }`;
  if (shape[0] !== undefined) text += ' '.repeat(Math.max(0, growthDigits - String(shape[0]).length));
  const unpadded = magic.length + 4 + text.length + 1;
  text += ' '.repeat((alignment - (unpadded % alignment)) % alignment) + '\n';
  return Uint8Array.from([...magic, 1, 0, text.length & 255, text.length >> 8, ...Buffer.from(text, 'latin1')]);
}

/**
 * Reads a .npy file (versions 1 to 3, little-endian, C order); elements are a view of `bytes` where memory is aligned.
 * `name` names the file in errors. DATA_LOSS for damaged bytes, INVALID_ARGUMENT for dtypes or orders not supported.
 */
export function decodeNpy(bytes: Uint8Array, name = 'array'): NpyArray {
  const { text, start } = headerText(bytes, name);
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(text)?.[1];
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text)?.[1];
  const tuple = /'shape'\s*:\s*\(([\d\s,]*)\)/.exec(text)?.[1];
  if (descr === undefined || order === undefined || tuple === undefined) {
    throw damaged('.npy', name, `header lacks descr, fortran_order or shape: ${JSON.stringify(text.slice(0, 120))}`);
  }
  const dtype = dtypes.find((known) => descr === `<${known}` || (known === 'u1' && descr === '|u1'));
  if (dtype === undefined) {
    throw unsupported('.npy', name, `got dtype '${descr}'; allowed: ${dtypes.join(', ')}, little-endian`);
  }
  const shape = tuple
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(Number);
  if (order === 'True' && shape.length > 1) {
    throw unsupported('.npy', name, 'got Fortran order; allowed: C order (save numpy.ascontiguousarray(a))');
  }
  const count = elementCount(shape);
  const Type = constructors[dtype];
  const length = bytes.length - start;
  if (count === null || count * Type.BYTES_PER_ELEMENT !== length) {
    throw damaged(
      '.npy',
      name,
      `got ${length} bytes of elements; shape (${shape.join(', ')}) of ${descr} takes another number`,
    );
  }
  return { dtype, shape, data: elements(Type, bytes, start, count) };
}

/** {@link decodeNpy} for a caller that takes one dtype only; any other is INVALID_ARGUMENT. */
export function decodeNpyAs<D extends NpyDtype>(bytes: Uint8Array, dtype: D, name = 'array'): NpyArray<D> {
  const array = decodeNpy(bytes, name);
  if (array.dtype !== dtype) throw unsupported('.npy', name, `got dtype ${array.dtype}; allowed here: ${dtype}`);
  return array as NpyArray<D>;
}

function headerText(bytes: Uint8Array, name: string): { text: string; start: number } {
  const version = bytes[6] ?? 0;
  if (bytes.length < 12 || magic.some((byte, i) => bytes[i] !== byte) || version < 1 || version > 3) {
    throw damaged('.npy', name, `${bytes.length} bytes that do not start with \\x93NUMPY and a version from 1 to 3`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const first = version === 1 ? 10 : 12;
  if (length > maxHeaderBytes || first + length > bytes.length) {
    throw damaged(
      '.npy',
      name,
      `header of ${length} bytes in a file of ${bytes.length}; allowed: ${maxHeaderBytes} at most`,
    );
  }
  return { text: Buffer.from(bytes.subarray(first, first + length)).toString('latin1'), start: first + length };
}

function elements(
  Type: (typeof constructors)[NpyDtype],
  bytes: Uint8Array,
  start: number,
  count: number,
): NpyDataByDtype[NpyDtype] {
  const at = bytes.byteOffset + start;
  if (at % Type.BYTES_PER_ELEMENT === 0) return new Type(bytes.buffer as ArrayBuffer, at, count);
  return new Type(bytes.slice(start).buffer, 0, count);
}
