// Several parts as one, without their dead rows.
import { createAliveRows, type AliveRows } from './alive-rows.js';
import type { SealedPart } from './contents.js';
import { nextTurn } from './part.js';
import type { Columns } from './segment-file.js';

/** Rows that are copied before other work of the process gets a turn. */
const rowsPerTurn = 20_000;

/** Parts that were merged, and where their rows went. */
export interface Merged {
  readonly columns: Columns;
  /**
   * Bits of the merged rows that are alive where `bitsOf` says so of their sources; null: all. Rows that were left out because
   * they were dead stay out.
   */
  translate(bitsOf: (source: SealedPart) => Uint8Array | null): Uint8Array | null;
}

/** Copies the rows that were alive at the manifest's sequence, in their order. Null: there are none. */
export async function mergeParts(sources: readonly SealedPart[], dimension: number): Promise<Merged | null> {
  const kept = sources.map(({ saved, entry }) => rowsIn(saved, entry.rows));
  const rows = kept.reduce((sum, { length }) => sum + length, 0);
  if (rows === 0) return null;
  const vectors = new Float32Array(rows * dimension);
  const ids = new BigUint64Array(rows);
  const labels = new Int32Array(rows);
  const lengths = new Uint32Array(rows);
  const payloads: Buffer[] = [];
  const withTexts = sources.some(({ part }) => part.texts !== null);
  const texts: string[] | null = withTexts ? new Array<string>(rows).fill('') : null;
  let to = 0;
  for (const [i, { part }] of sources.entries()) {
    for (const row of kept[i]!) {
      if (to % rowsPerTurn === rowsPerTurn - 1) await nextTurn();
      vectors.set(part.vectors.subarray(row * dimension, (row + 1) * dimension), to * dimension);
      ids[to] = part.ids[row]!;
      labels[to] = part.labels[row]!;
      if (texts !== null) texts[to] = part.texts?.[row] ?? '';
      const payload = part.payload(row);
      if (payload !== '') {
        const bytes = Buffer.from(payload);
        lengths[to] = bytes.byteLength;
        payloads.push(bytes);
      }
      to++;
    }
  }
  return {
    columns: {
      rows,
      dimension,
      vectors,
      ids,
      texts,
      labels,
      payloads: payloads.length === 0 ? null : { lengths, bytes: Buffer.concat(payloads) },
    },
    translate(bitsOf) {
      const alive: AliveRows = createAliveRows(rows);
      let at = 0;
      for (const [i, source] of sources.entries()) {
        const bits = bitsOf(source);
        const from = kept[i]!;
        if (bits !== null) {
          for (let j = 0; j < from.length; j++) {
            const row = from[j]!;
            if ((bits[row >> 3]! & (1 << (row & 7))) === 0) alive.remove(at + j);
          }
        }
        at += from.length;
      }
      return alive.share();
    },
  };
}

/** The rows whose bit is 1. */
function rowsIn(bits: Uint8Array | null, rows: number): Uint32Array {
  const all = Uint32Array.from({ length: rows }, (_, row) => row);
  return bits === null ? all : all.filter((row) => (bits[row >> 3]! & (1 << (row & 7))) !== 0);
}
