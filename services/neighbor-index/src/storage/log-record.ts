// A change of a collection as the log has it. Numbers are little-endian.
//
//   record  = length u32 · crc u32 · sequence u64 · kind u8 · last u8 · text kind u8 · 0 u8 · count u32 · body
//   body    = ids (u64 each, or lengths u32 each and texts) · for an upsert: vectors f32 · labels i32 · payload lengths u32
//             and texts
//
// `length` counts what follows the crc; the crc covers `length` and all that follows it. `last` is 1 on the last record of
// a change; one that a crash cut short has none and is dropped.
import { KindredError } from '@kindred/errors';
import { checksumOf } from './checksum.js';
import type { PointId, Points } from '../engine/points.js';

/** What one record changes. */
export type Change =
  { readonly kind: 'upsert'; readonly points: Points } | { readonly kind: 'delete'; readonly ids: readonly PointId[] };

/** A record that was read. */
export interface LogRecord {
  readonly sequence: bigint;
  /** Whether the change ends with it. */
  readonly last: boolean;
  readonly change: Change;
}

/** Bytes before a record's body. */
export const recordHeaderBytes = 24;
/** Bytes of one record at most: longer ones are taken for damage. */
export const maxRecordBytes = 64 * 1024 * 1024 + 4096;

const [upsertKind, deleteKind] = [1, 2];

/** Bytes of a change's record. */
export function recordBytes(change: Change): number {
  const upsert = change.kind === 'upsert';
  const ids = upsert ? change.points.ids : change.ids;
  const given = allTexts(ids);
  const idBytes = given === null ? 8 * ids.length : textBytes(given);
  if (!upsert) return recordHeaderBytes + idBytes;
  const { vectors, labels, payloads } = change.points;
  return recordHeaderBytes + idBytes + vectors.byteLength + labels.byteLength + textBytes(payloads);
}

/** The record as parts to write one after another; vectors are not copied. */
export function encodeRecord({ sequence, last, change }: LogRecord): Uint8Array[] {
  const upsert = change.kind === 'upsert';
  const ids = upsert ? change.points.ids : change.ids;
  const texts = allTexts(ids);
  const body: Uint8Array[] = texts === null ? [numbersOf(ids)] : textColumn(texts);
  if (upsert) {
    const { vectors, labels, payloads } = change.points;
    body.push(bytes(vectors), bytes(labels), ...textColumn(payloads));
  }
  const length = body.reduce((sum, part) => sum + part.byteLength, 0) + recordHeaderBytes - 8;
  const header = new DataView(new ArrayBuffer(recordHeaderBytes));
  header.setUint32(0, length, true);
  header.setBigUint64(8, sequence, true);
  header.setUint8(16, upsert ? upsertKind! : deleteKind!);
  header.setUint8(17, last ? 1 : 0);
  header.setUint8(18, texts === null ? 0 : 1);
  header.setUint32(20, ids.length, true);
  const head = new Uint8Array(header.buffer);
  header.setUint32(4, checksumOf([head.subarray(0, 4), head.subarray(8), ...body]), true);
  return [head, ...body];
}

/** Bytes of one of the records that a larger change is made of, about: small beside {@link maxRecordBytes}. */
export const pieceBytes = 16 * 1024 * 1024;

/** Splits `count` items into pieces of consecutive ones, each of {@link pieceBytes} at most or a single item. */
export function piecesOf(count: number, bytesAt: (item: number) => number): (readonly [start: number, end: number])[] {
  const pieces: [number, number][] = [];
  let start = 0;
  let bytes = 0;
  for (let item = 0; item < count; item++) {
    const more = bytesAt(item);
    if (item > start && bytes + more > pieceBytes) {
      pieces.push([start, item]);
      start = item;
      bytes = 0;
    }
    bytes += more;
  }
  if (count > start) pieces.push([start, count]);
  return pieces;
}

/** The deletion of ids as changes, each of one record: numbers, then texts. */
export function deletionsOf(ids: readonly PointId[]): Change[] {
  const numbers = ids.filter((id) => typeof id === 'bigint');
  const texts = ids.filter((id) => typeof id === 'string');
  return [
    ...piecesOf(numbers.length, () => 8).map(([start, end]) => numbers.slice(start, end)),
    ...piecesOf(texts.length, (i) => 4 + Buffer.byteLength(texts[i]!)).map(([start, end]) => texts.slice(start, end)),
  ].map((some) => ({ kind: 'delete', ids: some }));
}

/** What is wrong with a record's bytes; the reader adds where it lies. */
export class RecordProblem extends Error {}

/**
 * Reads the record at `offset`. @returns the record and where the next one begins.
 * @throws RecordProblem when the bytes there are no whole, sound record.
 */
export function decodeRecord(
  file: Uint8Array<ArrayBuffer>,
  offset: number,
  dimension: number,
): { readonly record: LogRecord; readonly next: number } {
  const left = file.byteLength - offset;
  if (left < recordHeaderBytes) throw new RecordProblem(`${left} bytes are less than the head of a record`);
  const header = new DataView(file.buffer, file.byteOffset + offset, recordHeaderBytes);
  const length = header.getUint32(0, true);
  const next = offset + 8 + length;
  if (length < recordHeaderBytes - 8 || length > maxRecordBytes || next > file.byteLength) {
    throw new RecordProblem(`its length ${length} goes beyond the end`);
  }
  const crc = checksumOf([file.subarray(offset, offset + 4), file.subarray(offset + 8, next)]);
  if (crc !== header.getUint32(4, true)) throw new RecordProblem('its checksum does not hold');
  const cursor = new Cursor(file, offset + recordHeaderBytes, next);
  const count = header.getUint32(20, true);
  const texts = header.getUint8(18) === 1;
  const ids = texts ? cursor.texts(count) : cursor.numbers(count);
  const upsert = header.getUint8(16) === upsertKind;
  const change: Change = upsert
    ? {
        kind: 'upsert',
        points: {
          ids,
          vectors: cursor.floats(count * dimension),
          labels: cursor.integers(count),
          payloads: cursor.optionalTexts(count),
        },
      }
    : { kind: 'delete', ids: [...ids] };
  const record = { sequence: header.getBigUint64(8, true), last: header.getUint8(17) === 1, change };
  return { record, next };
}

/** Lengths and UTF-8 bytes of texts; no parts for no texts. */
export function textColumn(texts: readonly string[]): Uint8Array[] {
  if (texts.length === 0) return [];
  const encoded = texts.map((text) => Buffer.from(text));
  return [bytes(Uint32Array.from(encoded, ({ byteLength }) => byteLength)), Buffer.concat(encoded)];
}

/** Reads columns one after another. @throws KindredError DATA_LOSS past the end: the writer was wrong. */
export class Cursor {
  constructor(
    private readonly file: Uint8Array<ArrayBuffer>,
    private offset: number,
    private readonly end: number,
  ) {}

  numbers(count: number): BigUint64Array<ArrayBuffer> {
    return new BigUint64Array(this.take(8 * count));
  }
  floats(count: number): Float32Array<ArrayBuffer> {
    return new Float32Array(this.take(4 * count));
  }
  integers(count: number): Int32Array<ArrayBuffer> {
    return new Int32Array(this.take(4 * count));
  }
  texts(count: number): string[] {
    const lengths = new Uint32Array(this.take(4 * count));
    return Array.from(lengths, (length) => Buffer.from(this.take(length)).toString('utf8'));
  }
  optionalTexts(count: number): string[] {
    return this.offset === this.end ? [] : this.texts(count);
  }

  /** A copy, because typed arrays need aligned places and must not hold the whole file. */
  private take(length: number): ArrayBuffer {
    if (this.offset + length > this.end) throw new KindredError('DATA_LOSS', 'a column goes beyond its record');
    const start = this.file.byteOffset + this.offset;
    this.offset += length;
    return this.file.buffer.slice(start, start + length);
  }
}

/** The ids if they are texts; null: they are numbers. */
function allTexts(ids: BigUint64Array | readonly PointId[]): readonly string[] | null {
  if (ids instanceof BigUint64Array) return null;
  return ids.every((id) => typeof id === 'string') ? ids : null;
}

function textBytes(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + 4 + Buffer.byteLength(text), 0);
}

function numbersOf(ids: BigUint64Array | readonly PointId[]): Uint8Array {
  return bytes(ids instanceof BigUint64Array ? ids : BigUint64Array.from(ids as readonly bigint[]));
}

function bytes(array: Float32Array | Int32Array | Uint32Array | BigUint64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
