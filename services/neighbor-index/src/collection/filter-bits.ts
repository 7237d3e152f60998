// Which rows of a part match a filter, as bits; remembered for parts that no longer change.
import type { PointFilter } from '../filter.js';
import { idOf, nextTurn, type Part } from './part.js';

/** Filters whose bits are remembered for each part. */
const remembered = 16;
/** Rows that are tested before other work of the process gets a turn. */
const rowsPerTurn = 5_000;

const bitsOfParts = new WeakMap<Part, Map<string, Uint8Array>>();

/** One bit a row, 1: it matches. `sealed`: the part's rows are all there. Dead rows may match. */
export async function filterBits(
  part: Part,
  filter: PointFilter,
  sealed: boolean,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const known = bitsOfParts.get(part)?.get(filter.key);
  if (known !== undefined) return known;
  const { rows } = part;
  const bits = new Uint8Array(Math.ceil(rows / 8));
  for (let row = 0; row < rows; row++) {
    if (row % rowsPerTurn === rowsPerTurn - 1) {
      await nextTurn();
      signal.throwIfAborted();
    }
    if (filter.test(testedRow(filter, part, row))) bits[row >> 3]! |= 1 << (row & 7);
  }
  if (sealed) remember(part, filter.key, bits);
  return bits;
}

/** A row as a filter looks at it; its payload is parsed only where the filter asks for it. */
export function testedRow(filter: PointFilter, part: Part, row: number): Parameters<PointFilter['test']>[0] {
  const text = filter.needsPayload ? part.payload(row) : '';
  const payload: unknown = text === '' ? null : JSON.parse(text);
  return { id: idOf(part, row), label: part.labels[row]!, payload };
}

function remember(part: Part, key: string, bits: Uint8Array): void {
  const known = bitsOfParts.get(part) ?? new Map<string, Uint8Array>();
  if (known.size >= remembered) known.delete(known.keys().next().value ?? '');
  known.set(key, bits);
  bitsOfParts.set(part, known);
}
