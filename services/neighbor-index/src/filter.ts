// Filters: checked when they come in, then tested point by point.
import { invalidField } from '@kindred/errors';
import type { Condition, FieldValue, Filter, PointId as WireId } from '@kindred/protocol/neighbors';
import type { PointId } from './engine/points.js';

/** Bounds of a filter. */
export const filterLimits = { conditions: 256, depth: 8, values: 4096, fieldBytes: 256 } as const;

/** What a filter looks at. */
export interface FilteredPoint {
  readonly id: PointId;
  readonly label: number;
  /** The parsed payload; null: none. */
  readonly payload: unknown;
}

/** A filter that tests points. */
export interface PointFilter {
  /** Equal for equal filters. */
  readonly key: string;
  readonly needsPayload: boolean;
  test(point: FilteredPoint): boolean;
}

type Test = (point: FilteredPoint) => boolean;

/** The filter, checked; null for none. INVALID_ARGUMENT naming the condition. */
export function checkFilter(filter: Filter | undefined, field: string): Filter | null {
  if (filter === undefined) return null;
  checkLevel(filter, field, 1, { conditions: 0, values: 0 });
  return filter;
}

/** Makes a checked filter testable. */
export function compileFilter(filter: Filter): PointFilter {
  const needs = { payload: false };
  const test = filterTest(filter, needs);
  const key = JSON.stringify(filter, (_, value: unknown) => (typeof value === 'bigint' ? `#${value}` : value));
  return { key, needsPayload: needs.payload, test };
}

/** The id of a wire id; INVALID_ARGUMENT for none and for texts out of form. */
export function idFromWire(id: WireId | undefined, field: string): PointId {
  if (id?.id?.$case === 'number') return id.id.value;
  if (id?.id?.$case !== 'text') throw invalidField(field, 'got no id; allowed: a number or a text');
  return checkText(id.id.value, field);
}

/** A text id as it is. INVALID_ARGUMENT unless it has 1 to 256 bytes of UTF-8. */
export function checkText(text: string, field: string): string {
  const bytes = Buffer.byteLength(text);
  if (bytes >= 1 && bytes <= 256) return text;
  throw invalidField(field, `got an id of ${bytes} bytes; allowed: 1 to 256 bytes of UTF-8`);
}

function checkLevel(filter: Filter, field: string, depth: number, seen: { conditions: number; values: number }): void {
  if (depth > filterLimits.depth)
    throw invalidField(field, `got more than ${filterLimits.depth} levels; allowed: ${filterLimits.depth}`);
  for (const list of ['must', 'should', 'mustNot'] as const) {
    const name = list === 'mustNot' ? 'must_not' : list;
    for (const [i, { condition }] of filter[list].entries()) {
      const at = `${field}.${name}[${i}]`;
      if (++seen.conditions > filterLimits.conditions) {
        throw invalidField(
          field,
          `got more than ${filterLimits.conditions} conditions; allowed: ${filterLimits.conditions}`,
        );
      }
      if (condition === undefined)
        throw invalidField(at, 'got an empty condition; allowed: label, match, range, exists, ids or filter');
      if (condition.$case === 'filter') checkLevel(condition.value, `${at}.filter`, depth + 1, seen);
      else checkCondition(condition, `${at}.${condition.$case}`, seen, field);
    }
  }
}

function checkCondition(
  condition: Exclude<NonNullable<Condition['condition']>, { $case: 'filter' }>,
  at: string,
  seen: { values: number },
  field: string,
): void {
  const { value } = condition;
  if ('field' in value) {
    const bytes = Buffer.byteLength(value.field);
    if (bytes < 1 || bytes > filterLimits.fieldBytes || value.field.split('.').includes('')) {
      throw invalidField(
        `${at}.field`,
        `got '${value.field.slice(0, 40)}'; allowed: names joined by dots, 1 to ${filterLimits.fieldBytes} bytes`,
      );
    }
  }
  if ('anyOf' in value) {
    if (value.anyOf.length === 0) throw invalidField(`${at}.any_of`, 'got none; allowed: at least one');
    seen.values += value.anyOf.length;
    if (seen.values > filterLimits.values) {
      throw invalidField(field, `got more than ${filterLimits.values} values; allowed: ${filterLimits.values}`);
    }
  }
  if (condition.$case === 'match') condition.value.anyOf.forEach((one, i) => checkValue(one, `${at}.any_of[${i}]`));
  if (condition.$case === 'ids') condition.value.anyOf.forEach((one, i) => idFromWire(one, `${at}.any_of[${i}]`));
  if (condition.$case !== 'range') return;
  const { gt, gte, lt, lte } = condition.value;
  const bounds = [gt, gte, lt, lte].filter((bound) => bound !== undefined);
  if (bounds.length === 0) throw invalidField(at, 'got no bound; allowed: gt, gte, lt, lte');
  const wrong = bounds.find((bound) => !Number.isFinite(bound));
  if (wrong !== undefined) throw invalidField(at, `got ${wrong}; allowed: finite numbers, or no bound on that side`);
}

function checkValue({ value }: FieldValue, at: string): void {
  if (value === undefined) throw invalidField(at, 'got nothing; allowed: text, number or flag');
  if (value.$case === 'number' && !Number.isFinite(value.value))
    throw invalidField(at, `got ${value.value}; allowed: finite numbers`);
}

function filterTest({ must, should, mustNot }: Filter, needs: { payload: boolean }): Test {
  const all = must.map((one) => conditionTest(one, needs));
  const some = should.map((one) => conditionTest(one, needs));
  const none = mustNot.map((one) => conditionTest(one, needs));
  return (point) =>
    all.every((test) => test(point)) &&
    (some.length === 0 || some.some((test) => test(point))) &&
    !none.some((test) => test(point));
}

function conditionTest({ condition }: Condition, needs: { payload: boolean }): Test {
  switch (condition?.$case) {
    case 'label': {
      const labels = new Set(condition.value.anyOf);
      return ({ label }) => labels.has(label);
    }
    case 'ids': {
      const ids = new Set(condition.value.anyOf.map((id) => idFromWire(id, 'ids')));
      return ({ id }) => ids.has(id);
    }
    case 'match': {
      const values = new Set<unknown>(condition.value.anyOf.map(({ value }) => value?.value));
      return fieldTest(condition.value.field, (value) => values.has(value), needs);
    }
    case 'range': {
      const { gt = -Infinity, gte = -Infinity, lt = Infinity, lte = Infinity } = condition.value;
      const { value: bounds } = condition;
      const within = (value: unknown): boolean =>
        typeof value === 'number' &&
        (bounds.gt === undefined || value > gt) &&
        (bounds.lt === undefined || value < lt) &&
        value >= gte &&
        value <= lte;
      return fieldTest(condition.value.field, within, needs);
    }
    case 'exists':
      return fieldTest(condition.value.field, (value) => value !== null && value !== undefined, needs);
    case 'filter':
      return filterTest(condition.value, needs);
    case undefined:
      return () => true;
  }
}

/** Tests a field's value, or any element of it where it is an array. */
function fieldTest(field: string, holds: (value: unknown) => boolean, needs: { payload: boolean }): Test {
  needs.payload = true;
  const path = field.split('.');
  return ({ payload }) => {
    let value: unknown = payload;
    for (const name of path) {
      if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name))
        return false;
      value = (value as Record<string, unknown>)[name];
    }
    return Array.isArray(value) ? value.some(holds) : holds(value);
  };
}
