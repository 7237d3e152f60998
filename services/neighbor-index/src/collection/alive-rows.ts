// Which rows of a part still count: one bit a row, copied before it is changed while a search or a writer reads it.

/** Bits of rows, 1: alive. */
export interface AliveRows {
  /** Rows that are not. */
  readonly dead: number;
  has(row: number): boolean;
  /** Takes a row out; false if it was out already. */
  remove(row: number): boolean;
  /** The bits as they are, never changed afterwards; null: all rows are alive. */
  share(): Uint8Array | null;
  /** Makes room for more rows, all alive. */
  reserve(rows: number): void;
}

/** Makes the bits of `rows` rows: as `saved` has them, else all alive. */
export function createAliveRows(rows: number, saved: Uint8Array | null = null): AliveRows {
  let bits = new Uint8Array(Math.ceil(rows / 8)).fill(0xff);
  let shared = false;
  let dead = 0;
  if (saved !== null) {
    bits.set(saved.subarray(0, bits.length));
    dead = rows - countBits(bits, rows);
  }
  return {
    get dead() {
      return dead;
    },
    has: (row) => (bits[row >> 3]! & (1 << (row & 7))) !== 0,
    remove(row) {
      if ((bits[row >> 3]! & (1 << (row & 7))) === 0) return false;
      if (shared) {
        bits = bits.slice();
        shared = false;
      }
      bits[row >> 3]! &= ~(1 << (row & 7));
      dead++;
      return true;
    },
    share() {
      if (dead === 0) return null;
      shared = true;
      return bits;
    },
    reserve(more) {
      if (more <= bits.length * 8) return;
      const wider = new Uint8Array(Math.ceil(more / 8)).fill(0xff);
      wider.set(bits);
      bits = wider;
      shared = false;
    },
  };
}

/** Bits that are 1 among the first `rows`. */
export function countBits(bits: Uint8Array, rows: number): number {
  let count = 0;
  const whole = rows >> 3;
  for (let i = 0; i < whole; i++) count += ones[bits[i]!]!;
  for (let row = whole * 8; row < rows; row++) count += (bits[row >> 3]! >> (row & 7)) & 1;
  return count;
}

/** Rows whose bits are 1 in both; null stands for all rows. */
export function bothOf(a: Uint8Array | null, b: Uint8Array | null): Uint8Array | null {
  if (a === null || b === null) return a ?? b;
  const length = Math.min(a.length, b.length);
  const both = new Uint8Array(length);
  for (let i = 0; i < length; i++) both[i] = a[i]! & b[i]!;
  return both;
}

const ones = Uint8Array.from({ length: 256 }, (_, byte) => {
  let count = 0;
  for (let rest = byte; rest > 0; rest >>= 1) count += rest & 1;
  return count;
});
