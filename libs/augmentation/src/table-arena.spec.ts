import { describe, expect, it } from 'vitest';
import { resizeCoefficients } from './resize-coefficients.js';
import { resizeTable } from './resize-table.js';
import { createTableArena } from './table-arena.js';

const begin = 32;
const byteLength = 4096;

describe('createTableArena', () => {
  it('keeps both tables of each view whole, however many have gone before', () => {
    const memory = new Uint8Array(begin + byteLength);
    const arena = createTableArena(begin, byteLength);
    for (let view = 0; view < 100; view++) {
      arena.beginView();
      const lengths = [1 + (view % 40), 1 + ((view * 7) % 40)] as const;
      const placed = lengths.map((from, axis) => arena.place(memory, from, 16, axis === 1));
      placed.forEach((table, axis) => {
        const { pairs, words } = resizeTable(resizeCoefficients(lengths[axis]!, 16), axis === 1);
        expect(table?.pairs).toBe(pairs);
        expect(new Int32Array(memory.buffer, table!.address, words.length)).toEqual(words);
        expect(table!.address + words.byteLength).toBeLessThanOrEqual(begin + byteLength);
      });
    }
  });

  it('places a table once, and refuses one over a quarter of its room', () => {
    const memory = new Uint8Array(begin + byteLength);
    const arena = createTableArena(begin, byteLength);
    const first = arena.place(memory, 20, 32, false);
    expect(arena.place(memory, 20, 32, false)).toBe(first);
    expect(arena.place(memory, 20, 32, true)).not.toBe(first);
    expect(arena.place(memory, 900, 32, false)).toBeNull();
  });
});
