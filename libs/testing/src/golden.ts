// Reads the golden numbers, computed by the reference implementation, and the recorded ones of other programs.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** One golden array. `data` is in C order; int64 values are given as BigInt64Array. */
export interface GoldenArray<T> {
  readonly shape: readonly number[];
  readonly data: T;
}

const readers = {
  '|u1': (buffer: ArrayBuffer) => new Uint8Array(buffer),
  '<f4': (buffer: ArrayBuffer) => new Float32Array(buffer),
  '<f8': (buffer: ArrayBuffer) => new Float64Array(buffer),
  '<i8': (buffer: ArrayBuffer) => new BigInt64Array(buffer),
} as const;

type GoldenData = Uint8Array | Float32Array | Float64Array | BigInt64Array;

/** The folder of golden numbers: `KINDRED_GOLDEN`, else `testdata/golden` of this checkout. */
export function goldenFolder(): string {
  return process.env['KINDRED_GOLDEN'] ?? join(checkoutRoot(), 'testdata', 'golden');
}

/** Parses `name`.json of the golden folder. */
export function readGoldenJson<T>(name: string): T {
  return JSON.parse(readFileSync(join(goldenFolder(), `${name}.json`), 'utf8')) as T;
}

/**
 * Reads `name`.npy of the golden folder. Written apart from `@kindred/formats`, so that the judge of that library is
 * not that library.
 */
export function readGoldenNpy<T extends GoldenData>(name: string): GoldenArray<T> {
  return readNpy<T>(join(goldenFolder(), `${name}.npy`));
}

/** Parses `name`.json of `testdata/recorded`: what other programs (PyTorch, scikit-learn) compute. */
export function readRecordedJson<T>(name: string): T {
  return JSON.parse(readFileSync(join(recordedFolder(), `${name}.json`), 'utf8')) as T;
}

/** Reads `name`.npy of `testdata/recorded`. */
export function readRecordedNpy<T extends GoldenData>(name: string): GoldenArray<T> {
  return readNpy<T>(join(recordedFolder(), `${name}.npy`));
}

function recordedFolder(): string {
  return join(checkoutRoot(), 'testdata', 'recorded');
}

function readNpy<T extends GoldenData>(path: string): GoldenArray<T> {
  const bytes = readFileSync(path);
  const headerLength = bytes.readUInt16LE(8);
  const header = bytes.toString('latin1', 10, 10 + headerLength);
  const descriptor = /'descr': '([^']+)'/.exec(header)?.[1] ?? '';
  const shapeText = /'shape': \(([^)]*)\)/.exec(header)?.[1] ?? '';
  const shape = shapeText
    .split(',')
    .filter((part) => part.trim() !== '')
    .map(Number);
  if (!(descriptor in readers) || header.includes("'fortran_order': True")) {
    throw new Error(`${path} has a form that these tests do not read: ${header}`);
  }
  const body = bytes.subarray(10 + headerLength);
  const copy = body.buffer.slice(body.byteOffset, body.byteOffset + body.byteLength) as ArrayBuffer;
  return { shape, data: readers[descriptor as keyof typeof readers](copy) as GoldenData as T };
}

/** The folder of this checkout: the one that holds `nx.json`, found upwards from this file. */
export function checkoutRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'nx.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('no nx.json above the test support library');
    folder = parent;
  }
  return folder;
}
