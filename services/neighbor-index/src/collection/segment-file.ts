// A part on disk: columns in one file, each with a checksum of its own.
//
//   file = "KNDSEG01" · length of the head u32 · crc u32 of the head · head, JSON · columns, each from a multiple of 64 on
import { KindredError } from '@kindred/errors';
import { z } from 'zod';
import { checksumInTurns, checksumOf } from '../storage/checksum.js';
import type { Disk, DiskFile } from '../storage/disk.js';
import { createAliveRows } from './alive-rows.js';
import { createIdTable } from './id-table.js';
import { nextTurn, wordsOf, type Part } from './part.js';

const magic = Buffer.from('KNDSEG01');
const alignment = 64;
/** Rows that are entered in the table before other work of the process gets a turn. */
const rowsPerTurn = 50_000;

const headSchema = z.object({
  rows: z.number().int().min(1),
  dimension: z.number().int().min(1),
  columns: z.array(
    z.object({ name: z.string(), offset: z.number().int(), bytes: z.number().int(), crc: z.number().int() }),
  ),
});

/** A part's columns as they are written and read. */
export interface Columns {
  readonly rows: number;
  readonly dimension: number;
  readonly vectors: Float32Array;
  readonly ids: BigUint64Array;
  readonly texts: readonly string[] | null;
  readonly labels: Int32Array;
  /** Lengths in bytes [rows] and the UTF-8 texts one after another; null: no payloads. */
  readonly payloads: { readonly lengths: Uint32Array; readonly bytes: Uint8Array } | null;
}

/** Writes and syncs a file; returns its length in bytes. */
export async function writeSegment(disk: Disk, path: string, columns: Columns): Promise<number> {
  const { rows, dimension, texts, payloads } = columns;
  const parts: [string, Uint8Array][] = [
    ['ids', bytesOf(columns.ids.subarray(0, rows))],
    ['labels', bytesOf(columns.labels.subarray(0, rows))],
    ['vectors', bytesOf(columns.vectors.subarray(0, rows * dimension))],
  ];
  if (texts !== null) {
    const encoded = Array.from({ length: rows }, (_, row) => Buffer.from(texts[row] ?? ''));
    parts.push(['text-lengths', bytesOf(Uint32Array.from(encoded, ({ byteLength }) => byteLength))]);
    parts.push(['texts', Buffer.concat(encoded)]);
  }
  if (payloads !== null) {
    parts.push(['payload-lengths', bytesOf(payloads.lengths)], ['payloads', payloads.bytes]);
  }
  // The head's length depends on the offsets: they count from the end of the head, which is at a multiple of 64.
  let offset = 0;
  const described = [];
  for (const [name, bytes] of parts) {
    described.push({ name, offset, bytes: bytes.byteLength, crc: await checksumInTurns(bytes) });
    offset += roundUp(bytes.byteLength);
  }
  const head = Buffer.from(JSON.stringify({ rows, dimension, columns: described }));
  const first = roundUp(16 + head.byteLength);
  const begin = new Uint8Array(first);
  begin.set(magic);
  begin.set(head, 16);
  const view = new DataView(begin.buffer);
  view.setUint32(8, head.byteLength, true);
  view.setUint32(12, checksumOf([head]), true);
  const file = await disk.open(path, true);
  try {
    await file.write([begin], 0);
    for (const [i, [, bytes]] of parts.entries()) await file.write([bytes], first + described[i]!.offset);
    await file.sync();
  } finally {
    await file.close();
  }
  return first + offset;
}

/** Reads a file's columns. DATA_LOSS, naming the file and the column, when anything of it is damaged. */
export async function readSegment(disk: Disk, path: string, dimension: number): Promise<Columns> {
  const file = await disk.open(path, false).catch((cause: unknown) => {
    throw damagedFile(path, 'it cannot be opened', cause);
  });
  try {
    const begin = await readPiece(file, 0, 16);
    const view = new DataView(begin.buffer);
    if (Buffer.compare(begin.subarray(0, 8), magic) !== 0)
      throw damagedFile(path, 'its first bytes are not those of a segment');
    const size = await file.size();
    const headLength = view.getUint32(8, true);
    if (headLength > size) throw damagedFile(path, 'its head does not fit in it');
    const head = await readPiece(file, 16, headLength);
    if (checksumOf([head]) !== view.getUint32(12, true))
      throw damagedFile(path, 'the checksum of its head does not hold');
    const described = headSchema.parse(JSON.parse(Buffer.from(head).toString('utf8')));
    const { rows } = described;
    if (described.dimension !== dimension)
      throw damagedFile(path, `it holds vectors of ${described.dimension} numbers`);
    const first = roundUp(16 + headLength);
    const column = async (name: string): Promise<ArrayBuffer | null> => {
      const place = described.columns.find((one) => one.name === name);
      if (place === undefined) return null;
      if (first + place.offset + place.bytes > size) throw damagedFile(path, `it ends within its column '${name}'`);
      const bytes = await readPiece(file, first + place.offset, place.bytes);
      if ((await checksumInTurns(bytes)) !== place.crc)
        throw damagedFile(path, `the checksum of its column '${name}' does not hold`);
      return bytes.buffer;
    };
    const [ids, labels, vectors] = [await column('ids'), await column('labels'), await column('vectors')];
    if (ids === null || labels === null || vectors === null) throw damagedFile(path, 'a column is missing');
    const [textLengths, texts] = [await column('text-lengths'), await column('texts')];
    const [payloadLengths, payloads] = [await column('payload-lengths'), await column('payloads')];
    return {
      rows,
      dimension,
      ids: new BigUint64Array(ids),
      labels: new Int32Array(labels),
      vectors: new Float32Array(vectors),
      texts: textLengths === null || texts === null ? null : textsOf(new Uint32Array(textLengths), Buffer.from(texts)),
      payloads:
        payloadLengths === null || payloads === null
          ? null
          : { lengths: new Uint32Array(payloadLengths), bytes: new Uint8Array(payloads) },
    };
  } finally {
    await file.close();
  }
}

/** Makes a part of columns, with its table of ids. `saved`: bits of the rows that are alive; null: all. */
export async function partOf(columns: Columns, saved: Uint8Array | null): Promise<Omit<Part, 'index'>> {
  const { rows, dimension, ids, texts, payloads } = columns;
  const alive = createAliveRows(rows, saved);
  const table = createIdTable(wordsOf(ids), rows);
  const textTable = new Map<string, number>();
  for (let row = 0; row < rows; row++) {
    if (row % rowsPerTurn === rowsPerTurn - 1) await nextTurn();
    const text = texts?.[row] ?? '';
    if (text === '') table.set(row);
    else textTable.set(text, row);
  }
  const offsets = payloads === null ? null : offsetsOf(payloads.lengths);
  const textMemory = texts === null ? 0 : texts.reduce((sum, text) => sum + 100 + text.length, 0);
  return {
    ...columns,
    alive,
    payload(row) {
      if (payloads === null || offsets === null) return '';
      return Buffer.from(
        payloads.bytes.buffer,
        payloads.bytes.byteOffset + offsets[row]!,
        payloads.lengths[row],
      ).toString('utf8');
    },
    payloadBytes: (row) => payloads?.lengths[row] ?? 0,
    find: (low, high) => table.find(low, high),
    findText: (text) => textTable.get(text) ?? -1,
    memoryBytes: () =>
      rows * (4 * dimension + 12.125) +
      table.bytes() +
      textMemory +
      (payloads === null ? 0 : payloads.bytes.byteLength + 12 * rows),
  };
}

/** DATA_LOSS about a file of a collection. */
export function damagedFile(path: string, problem: string, cause?: unknown): KindredError {
  return new KindredError(
    'DATA_LOSS',
    `${path} is damaged: ${problem}; restore the collection from a snapshot, or delete it and fill it again`,
    { resource: { type: 'file', name: path }, cause },
  );
}

async function readPiece(file: DiskFile, position: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  await file.read(bytes, position);
  return bytes;
}

function textsOf(lengths: Uint32Array, bytes: Buffer): string[] {
  let offset = 0;
  return Array.from(lengths, (length) => bytes.toString('utf8', offset, (offset += length)));
}

function offsetsOf(lengths: Uint32Array): Float64Array {
  const offsets = new Float64Array(lengths.length);
  for (let i = 1; i < lengths.length; i++) offsets[i] = offsets[i - 1]! + lengths[i - 1]!;
  return offsets;
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}

function bytesOf(array: Float32Array | Int32Array | Uint32Array | BigUint64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
