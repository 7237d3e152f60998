// The ids of a part in the order of Scroll, made when first asked for.
import type { PointId } from '../engine/points.js';
import { compareIds } from '../engine/points.js';
import { locate, type Part } from './part.js';

interface SortedIds {
  readonly rows: number;
  readonly numbers: BigUint64Array;
  readonly texts: readonly string[];
}

const known = new WeakMap<Part, SortedIds>();

/** Ids that are alive, after `after`, by `compareIds`, each with where it is. */
export function* idsAfter(
  parts: readonly Part[],
  after: PointId | null,
): Generator<{ readonly id: PointId; readonly part: Part; readonly row: number }> {
  const cursors = parts.map((part) => cursorOf(part, after));
  for (;;) {
    let least: ReturnType<typeof cursorOf> | null = null;
    for (const cursor of cursors) {
      if (cursor.id !== null && (least === null || compareIds(cursor.id, least.id!) < 0)) least = cursor;
    }
    if (least === null || least.id === null) return;
    const { id } = least;
    for (const cursor of cursors) if (cursor.id !== null && compareIds(cursor.id, id) === 0) cursor.advance();
    const found = locate(parts, id);
    if (found !== null) yield { id, ...found };
  }
}

function cursorOf(part: Part, after: PointId | null): { id: PointId | null; advance(): void } {
  const { numbers, texts } = sortedIds(part);
  const count = numbers.length + texts.length;
  const idAt = (i: number): PointId => (i < numbers.length ? numbers[i]! : texts[i - numbers.length]!);
  let at = after === null ? 0 : upperBound(count, (i) => compareIds(idAt(i), after) <= 0);
  const cursor = {
    id: at < count ? idAt(at) : null,
    advance(): void {
      at++;
      cursor.id = at < count ? idAt(at) : null;
    },
  };
  return cursor;
}

function sortedIds(part: Part): SortedIds {
  const before = known.get(part);
  if (before?.rows === part.rows) return before;
  const texts = (part.texts ?? []).filter((text) => text !== '' && text !== undefined);
  let numbers = part.ids.slice(0, part.rows);
  if (texts.length > 0) numbers = numbers.filter((_, row) => (part.texts?.[row] ?? '') === '');
  // An id that was stored again has several rows.
  numbers = numbers.sort().filter((id, i, all) => i === 0 || id !== all[i - 1]);
  const sorted = { rows: part.rows, numbers, texts: [...new Set(texts)].sort(compareIds) };
  known.set(part, sorted);
  return sorted;
}

/** The first place of 0 to `count` that is not `before`. */
function upperBound(count: number, before: (i: number) => boolean): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (before(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}
