// The part that grows: rows in memory, and in the log on disk.
import type { Points } from '../engine/points.js';
import { createAliveRows } from './alive-rows.js';
import { createIdTable } from './id-table.js';
import { wordsOf, type Part } from './part.js';

/** Rows that can be added to. Columns move when they grow: readers take them from the part anew. */
export interface GrowingPart extends Part {
  readonly index: null;
  /** Appends rows; an older row of the same id in this part must be dead. */
  add(points: Points): void;
}

const firstRows = 256;
/** Bytes beside the columns that a text id or payload costs in V8's heap, about. */
const textBytes = 40;

/** Makes an empty part. */
export function createGrowingPart(dimension: number): GrowingPart {
  let rows = 0;
  let capacity = 0;
  let vectors = new Float32Array(0);
  let ids = new BigUint64Array(0);
  let labels = new Int32Array(0);
  let texts: string[] | null = null;
  const payloads: string[] = [];
  const alive = createAliveRows(0);
  const table = createIdTable(wordsOf(ids));
  const textTable = new Map<string, number>();
  let textMemory = 0;

  const reserve = (wanted: number): void => {
    if (wanted <= capacity) return;
    capacity = Math.max(firstRows, wanted, 2 * capacity);
    vectors = enlarged(vectors, new Float32Array(capacity * dimension));
    ids = enlarged(ids, new BigUint64Array(capacity));
    labels = enlarged(labels, new Int32Array(capacity));
    table.move(wordsOf(ids));
    alive.reserve(capacity);
  };

  return {
    get rows() {
      return rows;
    },
    dimension,
    get vectors() {
      return vectors;
    },
    get ids() {
      return ids;
    },
    get texts() {
      return texts;
    },
    get labels() {
      return labels;
    },
    alive,
    index: null,
    payload: (row) => payloads[row] ?? '',
    payloadBytes: (row) => Buffer.byteLength(payloads[row] ?? ''),
    find: (low, high) => table.find(low, high),
    findText: (text) => textTable.get(text) ?? -1,
    memoryBytes: () => capacity * (4 * dimension + 12.125) + table.bytes() + textMemory,
    add(points) {
      const count = points.ids.length;
      reserve(rows + count);
      vectors.set(points.vectors, rows * dimension);
      labels.set(points.labels, rows);
      if (points.ids instanceof BigUint64Array) {
        ids.set(points.ids, rows);
        for (let row = rows; row < rows + count; row++) table.set(row);
      } else {
        texts ??= [];
        for (const [i, text] of points.ids.entries()) {
          texts[rows + i] = text;
          textTable.set(text, rows + i);
          textMemory += 2 * textBytes + text.length;
        }
      }
      for (const [i, payload] of points.payloads.entries()) {
        if (payload === '') continue;
        payloads[rows + i] = payload;
        textMemory += textBytes + payload.length;
      }
      rows += count;
    },
  };
}

function enlarged<T extends Float32Array | BigUint64Array | Int32Array>(old: T, wider: T): T {
  (wider as Float32Array).set(old as Float32Array);
  return wider;
}
