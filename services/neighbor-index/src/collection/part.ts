// Rows of a collection that lie together: what sealed and growing parts have in common.
import type { SegmentIndex } from '@kindred/faiss-native';
import { answerBytesOf } from '../answer-budget.js';
import type { Included, PointId } from '../engine/points.js';
import type { AliveRows } from './alive-rows.js';

/** Rows in columns. A row never changes; it only dies. */
export interface Part {
  /** Rows, dead ones included. */
  readonly rows: number;
  readonly dimension: number;
  /** At least [rows, dimension]. */
  readonly vectors: Float32Array;
  /** At least [rows]; of no meaning where the id is a text. */
  readonly ids: BigUint64Array;
  /** At least [rows], '' where the id is a number; null: all ids are numbers. */
  readonly texts: readonly string[] | null;
  /** At least [rows]; -1: unlabelled. */
  readonly labels: Int32Array;
  readonly alive: AliveRows;
  /** Null: rows are compared one by one. */
  readonly index: SegmentIndex | null;
  /** JSON text; '': none. */
  payload(row: number): string;
  /** Bytes of that text as UTF-8. */
  payloadBytes(row: number): number;
  /** The newest row of a number, its low and high word, dead or alive; -1: none. */
  find(low: number, high: number): number;
  /** The newest row of a text, dead or alive; -1: none. */
  findText(text: string): number;
  /** Bytes of memory, as accounted. */
  memoryBytes(): number;
}

/** The row of an id that is alive, newest part first; null: the id does not exist. */
export function locate(parts: readonly Part[], id: PointId): { readonly part: Part; readonly row: number } | null {
  for (let i = parts.length - 1; i >= 0; i--) {
    const part = parts[i]!;
    const row =
      typeof id === 'string'
        ? part.findText(id)
        : part.find(Number(id & 0xffffffffn), Number((id >> 32n) & 0xffffffffn));
    if (row >= 0 && part.alive.has(row)) return { part, row };
  }
  return null;
}

/** The id of a row. */
export function idOf(part: Part, row: number): PointId {
  const text = part.texts?.[row] ?? '';
  return text === '' ? part.ids[row]! : text;
}

/** Bytes of a row in an answer, at most. */
export function pointBytes(part: Part, row: number, id: PointId, include: Included): number {
  return answerBytesOf(id, include.payloads ? part.payloadBytes(row) : 0, include.vectors ? part.dimension : 0);
}

/** The words of a column of numbers, low word first (every platform that TensorFlow runs on is little-endian). */
export function wordsOf(ids: BigUint64Array): Uint32Array {
  return new Uint32Array(ids.buffer, ids.byteOffset, 2 * ids.length);
}

/** Lets other work of the process have a turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
