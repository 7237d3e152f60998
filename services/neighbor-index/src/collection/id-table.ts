// Which row an id is in: open addressing over the ids' own column, four bytes a place.

/** Rows by id, for ids that lie in a column as pairs of 32-bit words. */
export interface IdTable {
  /** The row of a number, its low and high word; -1: none. */
  find(low: number, high: number): number;
  /** Enters the id that the column has at `row`, over an older row of the same id. */
  set(row: number): void;
  /** Takes over a column that has moved; the rows so far are the same. */
  move(words: Uint32Array): void;
  /** Bytes of memory. */
  bytes(): number;
}

/** Makes an empty table over `words`: [rows, 2], low word first. `expected` rows fit without growing. */
export function createIdTable(words: Uint32Array, expected = 16): IdTable {
  let column = words;
  let mask = placesFor(expected) - 1;
  let rows = new Int32Array(mask + 1).fill(-1);
  let used = 0;

  const placeOf = (low: number, high: number): number => {
    let place = hash(low, high) & mask;
    for (;;) {
      const row = rows[place]!;
      if (row === -1 || (column[2 * row] === low && column[2 * row + 1] === high)) return place;
      place = (place + 1) & mask;
    }
  };
  const grow = (): void => {
    const old = rows;
    mask = 2 * (mask + 1) - 1;
    rows = new Int32Array(mask + 1).fill(-1);
    for (const row of old) if (row !== -1) rows[placeOf(column[2 * row]!, column[2 * row + 1]!)] = row;
  };

  return {
    find: (low, high) => rows[placeOf(low, high)]!,
    set(row) {
      const place = placeOf(column[2 * row]!, column[2 * row + 1]!);
      if (rows[place] === -1) used++;
      rows[place] = row;
      if (used * 2 > mask) grow();
    },
    move: (moved) => (column = moved),
    bytes: () => rows.byteLength,
  };
}

function placesFor(expected: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(16, 2 * expected + 2)));
}

/** Mixes both words (the finalizer of MurmurHash3). */
function hash(low: number, high: number): number {
  let mixed = Math.imul(low ^ Math.imul(high, 0x9e3779b1), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
