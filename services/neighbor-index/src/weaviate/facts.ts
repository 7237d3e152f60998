// What a point's label and payload say, as words that an inverted index finds whole: every filter of the contract becomes a question for words.
import { createHash } from 'node:crypto';

/** Words of a payload; what would have more is refused. */
export const maxFacts = 16_384;

/** A word that every point has. */
export const anyFact = 'all';
/** A word of every point with a label. */
export const labelledFact = 'labelled';

/** The word of a label; -1: none. */
export const labelFact = (label: number): string => `label:${label}`;

/** A value that a payload's field may have. */
export type Scalar = string | number | boolean;

const maxFieldBytes = 256;
const keyDigits = 16;

/** All words of a point, or null where there would be more than {@link maxFacts}. */
export function factsOf(label: number, payload: unknown): string[] | null {
  const facts = new Set([anyFact, labelFact(label)]);
  if (label >= 0) facts.add(labelledFact);
  return addFields(payload, '', facts) ? [...facts] : null;
}

/** The word that says: the field is there and is not null. */
export function existsFact(field: string): string {
  return `${fieldHash(field)}:e`;
}

/** The word that says: the field, or an element of it, equals `value`. */
export function equalsFact(field: string, value: Scalar): string {
  const prefix = fieldHash(field);
  if (typeof value === 'string') return `${prefix}:t${digest(value, 16)}`;
  if (typeof value === 'boolean') return `${prefix}:b${value ? 1 : 0}`;
  return `${prefix}:n${sortKey(value).toString(16).padStart(keyDigits, '0')}`;
}

/** Bounds of a number; absent: none on that side. */
export interface Range {
  readonly gt?: number;
  readonly gte?: number;
  readonly lt?: number;
  readonly lte?: number;
}

/**
 * Words of which a number within bounds has exactly one, and any other number none. A number's sort key has 16 hexadecimal digits, and a word
 * for each of its beginnings; a range of keys is covered by at most 480 beginnings (as in Lucene's trie of numbers).
 */
export function rangeFacts(field: string, { gt, gte, lt, lte }: Range): string[] {
  const largest = (1n << 64n) - 1n;
  const lows = [0n, ...(gte === undefined ? [] : [sortKey(gte)]), ...(gt === undefined ? [] : [sortKey(gt) + 1n])];
  const highs = [
    largest,
    ...(lte === undefined ? [] : [sortKey(lte)]),
    ...(lt === undefined ? [] : [sortKey(lt) - 1n]),
  ];
  const low = lows.reduce((a, b) => (a > b ? a : b));
  const high = highs.reduce((a, b) => (a < b ? a : b));
  const prefix = fieldHash(field);
  return beginnings(low, high).map((digits) => `${prefix}:n${digits}`);
}

/** Adds the words of a payload's fields; false: too many. Arrays are looked into, but not for fields. */
function addFields(value: unknown, path: string, facts: Set<string>): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return true;
  for (const [name, field] of Object.entries(value)) {
    // A filter cannot name these.
    if (name === '' || name.includes('.')) continue;
    const full = path === '' ? name : `${path}.${name}`;
    if (Buffer.byteLength(full) > maxFieldBytes) continue;
    const elements: readonly unknown[] = Array.isArray(field) ? field : [field];
    if (elements.some((element) => element !== null)) facts.add(existsFact(full));
    for (const element of elements) {
      addScalar(full, element, facts);
      if (facts.size > maxFacts) return false;
    }
    if (!addFields(field, full, facts)) return false;
  }
  return true;
}

function addScalar(field: string, value: unknown, facts: Set<string>): void {
  if (typeof value === 'string' || typeof value === 'boolean') facts.add(equalsFact(field, value));
  if (typeof value !== 'number') return;
  const word = equalsFact(field, value);
  for (let digits = 1; digits <= keyDigits; digits++) facts.add(word.slice(0, word.length - keyDigits + digits));
}

/** Beginnings that together cover the keys from `low` to `high` and no other. */
function beginnings(low: bigint, high: bigint): string[] {
  const found: string[] = [];
  const visit = (prefix: bigint, digits: number): void => {
    const below = 4n * BigInt(keyDigits - digits);
    const first = prefix << below;
    const last = first + (1n << below) - 1n;
    if (first > high || last < low) return;
    if (digits > 0 && first >= low && last <= high) {
      found.push(prefix.toString(16).padStart(digits, '0'));
      return;
    }
    for (let digit = 0n; digit < 16n; digit++) visit(prefix * 16n + digit, digits + 1);
  };
  if (low <= high) visit(0n, 0);
  return found;
}

/** A number's 64 bits, changed so that they sort as numbers do; -0 is 0. */
function sortKey(value: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value === 0 ? 0 : value);
  const bits = view.getBigUint64(0);
  return bits >> 63n === 0n ? bits | (1n << 63n) : ~bits & ((1n << 64n) - 1n);
}

const fieldHash = (field: string): string => digest(field, 12);

function digest(text: string, bytes: number): string {
  return createHash('sha256').update(text, 'utf8').digest().subarray(0, bytes).toString('base64url');
}
