// The safetensors format: a JSON header of names, dtypes, shapes and offsets, then the elements. Nothing is executed.
import { damaged, unsupported } from './damage.js';
import {
  bytesPerElement,
  checkTensor,
  elementBytes,
  elementCount,
  isTensorDtype,
  tensorDtypes,
  viewElements,
} from './tensor.js';
import type { NamedTensors, Tensor, TensorDtype } from './tensor.js';

const format = 'safetensors';
/** The limit of the format's own reader (MAX_HEADER_SIZE). */
const maxHeaderBytes = 100_000_000;
const metadataKey = '__metadata__';

/** What a safetensors file holds; `tensors` in the header's order. */
export interface SafetensorsContent {
  readonly tensors: Map<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

interface HeaderEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/**
 * A safetensors file of `tensors`, the header in their order. Elements are laid out by falling element size, so that every
 * tensor starts aligned. INVALID_ARGUMENT when an array does not fit its dtype and shape.
 */
export function encodeSafetensors(
  tensors: NamedTensors | Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const named: [string, Tensor][] = tensors instanceof Map ? [...tensors] : Object.entries(tensors);
  for (const [name, value] of named) checkTensor(name, value);
  if (named.some(([name]) => name === metadataKey)) throw unsupported(format, metadataKey, 'is no name for a tensor');
  const offsets = new Map<string, [number, number]>();
  let size = 0;
  for (const [name, { dtype, data }] of named.toSorted((a, b) => width(b) - width(a))) {
    offsets.set(name, [size, (size += data.length * bytesPerElement(dtype))]);
  }
  const entries: [string, unknown][] = named.map(([name, { dtype, shape }]) => [
    name,
    { dtype, shape, data_offsets: offsets.get(name) },
  ]);
  if (Object.keys(metadata).length > 0) entries.unshift([metadataKey, metadata]);
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const headerBytes = Math.ceil(json.length / 8) * 8;
  const file = new Uint8Array(8 + headerBytes + size).fill(0x20, 8, 8 + headerBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.set(json, 8);
  for (const [name, { data }] of named) file.set(elementBytes(data), 8 + headerBytes + (offsets.get(name)?.[0] ?? 0));
  return file;
}

/**
 * Reads a safetensors file; elements are views of `bytes` where memory is aligned. DATA_LOSS when header, offsets, shapes or
 * length do not hold together, INVALID_ARGUMENT for a dtype that is not one of `tensorDtypes`. `name` names the file in errors.
 */
export function decodeSafetensors(bytes: Uint8Array, name = 'tensors'): SafetensorsContent {
  const { header, start } = parseHeader(bytes, name);
  const found: { key: string; dtype: TensorDtype; shape: readonly number[]; count: number; start: number }[] = [];
  const ranges: [number, number, string][] = [];
  let metadata: Record<string, string> = {};
  for (const [key, value] of Object.entries(header)) {
    if (key === metadataKey) {
      if (!isStringRecord(value)) throw damaged(format, name, `${metadataKey} is not a map from text to text`);
      metadata = value;
      continue;
    }
    const { dtype, shape, data_offsets: range } = checkedEntry(value, key, name, bytes.length - start);
    if (!isTensorDtype(dtype)) {
      throw unsupported(format, name, `tensor '${key}' has dtype ${dtype}; allowed: ${tensorDtypes.join(', ')}`);
    }
    const count = elementCount(shape);
    if (count === null || count * bytesPerElement(dtype) !== range[1] - range[0]) {
      throw damaged(
        format,
        name,
        `tensor '${key}' of shape [${shape.join(', ')}] in ${dtype} has ${range[1] - range[0]} bytes`,
      );
    }
    ranges.push([range[0], range[1], key]);
    found.push({ key, dtype, shape, count, start: start + range[0] });
  }
  // Before any elements are taken: where memory is not aligned they are copies, and ranges may overlap.
  checkCoverage(ranges, bytes.length - start, name);
  const tensors = new Map(
    found.map(({ key, dtype, shape, count, start: from }): [string, Tensor] => [
      key,
      { dtype, shape, data: viewElements(dtype, bytes, from, count) },
    ]),
  );
  return { tensors, metadata };
}

function width([, value]: [string, Tensor]): number {
  return bytesPerElement(value.dtype);
}

function parseHeader(bytes: Uint8Array, name: string): { header: object; start: number } {
  const length = bytes.length < 8 ? NaN : Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  if (!(length >= 2 && length <= Math.min(maxHeaderBytes, bytes.length - 8))) {
    throw damaged(format, name, `header length ${length} in a file of ${bytes.length} bytes`);
  }
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.slice(8, 8 + length)));
  } catch (cause) {
    throw damaged(format, name, 'the header is no JSON', cause);
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) {
    throw damaged(format, name, 'the header is no JSON object');
  }
  return { header, start: 8 + length };
}

function checkedEntry(value: unknown, key: string, name: string, limit: number): HeaderEntry {
  const entry = (value ?? {}) as { dtype?: unknown; shape?: unknown; data_offsets?: unknown };
  const { dtype, shape, data_offsets: offsets } = entry;
  const sound =
    typeof dtype === 'string' &&
    Array.isArray(shape) &&
    elementCount(shape) !== null &&
    Array.isArray(offsets) &&
    offsets.length === 2 &&
    offsets.every((offset) => Number.isSafeInteger(offset) && offset >= 0 && offset <= limit) &&
    offsets[0] <= offsets[1];
  if (!sound) {
    throw damaged(
      format,
      name,
      `tensor '${key}': ${JSON.stringify(value)?.slice(0, 200)} with ${limit} bytes of elements`,
    );
  }
  return entry as HeaderEntry;
}

function checkCoverage(ranges: [number, number, string][], size: number, name: string): void {
  let end = 0;
  for (const [from, to, key] of ranges.toSorted((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (from !== end)
      throw damaged(format, name, `tensor '${key}' starts at ${from}, the one before it ends at ${end}`);
    end = to;
  }
  if (end !== size) throw damaged(format, name, `tensors end at byte ${end} of ${size}`);
}

function isStringRecord(value: unknown): value is Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((text) => typeof text === 'string');
}
