// Resize tables that stay in the kernels' memory from one view to the next.
import { resizeCoefficients } from './resize-coefficients.js';
import { resizeTable } from './resize-table.js';

/** A table in the kernels' memory. */
export interface PlacedTable {
  readonly address: number;
  /** Pairs of input positions that each output takes. */
  readonly pairs: number;
}

/** The tables in a part of the kernels' memory. */
export interface TableArena {
  /** Makes room for the two tables of a view, dropping all others when more than half is taken. */
  beginView(): void;
  /**
   * The table that resizes `from` to `to` pixels (both below 2^13 · 2^13), in `memory`; the last output comes first when
   * `mirrored`. Null for a table over a quarter of the part.
   */
  place(memory: Uint8Array, from: number, to: number, mirrored: boolean): PlacedTable | null;
}

/** Takes `byteLength` bytes from the address `begin` on, a multiple of 16, for tables. */
export function createTableArena(begin: number, byteLength: number): TableArena {
  const tables = new Map<number, PlacedTable>();
  let end = begin;
  return {
    beginView() {
      if (end - begin <= byteLength / 2) return;
      tables.clear();
      end = begin;
    },
    place(memory, from, to, mirrored) {
      const key = (from * 2 ** 13 + to) * 2 + (mirrored ? 1 : 0);
      const known = tables.get(key);
      if (known !== undefined) return known;
      const { pairs, words } = resizeTable(resizeCoefficients(from, to), mirrored);
      if (words.byteLength > byteLength / 4) return null;
      new Int32Array(memory.buffer, end, words.length).set(words);
      const placed = { address: end, pairs };
      tables.set(key, placed);
      end += words.byteLength;
      return placed;
    },
  };
}
