// A filter asked as words says the same as the filter tested point by point.
import type { Condition, Filter } from '@kindred/protocol/neighbors';
import type { WeaviateFilter } from '@kindred/weaviate';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { compileFilter } from '../filter.js';
import { factsOf, maxFacts, rangeFacts } from './facts.js';
import { uuidOf } from './object-ids.js';
import { whereOf, type Where } from './where.js';

const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
const scalar = fc.oneof(
  fc.constantFrom('x', 'X', ' x', 'x y', '', 'ü'),
  fc.constantFrom(0, -0, 1, -1, 0.5, 2 ** 53, 5e-324),
  finite,
  fc.boolean(),
);
const value = fc.oneof(scalar, fc.constant(null), fc.array(fc.oneof(scalar, fc.constant(null)), { maxLength: 4 }));
const names = ['a', 'b', 'a.b', ''] as const;
const payload = fc.option(
  fc.dictionary(fc.constantFrom(...names), fc.oneof(value, fc.dictionary(fc.constantFrom(...names), value)), {
    maxKeys: 4,
  }),
);
const point = fc.record({ id: fc.bigInt({ min: 0n, max: 6n }), label: fc.integer({ min: -1, max: 3 }), payload });
const field = fc.constantFrom('a', 'b', 'a.b', 'b.a', 'a.0', 'c');
const bound = fc.option(fc.oneof(fc.constantFrom(0, -0, 1, -1, 0.5), finite), { nil: undefined });

const leaf: fc.Arbitrary<Condition> = fc.oneof(
  fc
    .array(fc.integer({ min: -1, max: 3 }), { minLength: 1, maxLength: 3 })
    .map((anyOf): Condition => ({ condition: { $case: 'label', value: { anyOf } } })),
  fc.tuple(field, fc.array(scalar, { minLength: 1, maxLength: 3 })).map(([name, values]): Condition => ({
    condition: { $case: 'match', value: { field: name, anyOf: values.map((one) => ({ value: fieldValue(one) })) } },
  })),
  fc.tuple(field, bound, bound, bound, bound).map(([name, gt, gte, lt, lte]): Condition => ({
    condition: { $case: 'range', value: { field: name, gt, gte, lt, lte } },
  })),
  field.map((name): Condition => ({ condition: { $case: 'exists', value: { field: name } } })),
  fc.array(fc.bigInt({ min: 0n, max: 6n }), { minLength: 1, maxLength: 3 }).map((ids): Condition => ({
    condition: { $case: 'ids', value: { anyOf: ids.map((one) => ({ id: { $case: 'number' as const, value: one } })) } },
  })),
);
const { filter } = fc.letrec<{ filter: Filter; condition: Condition }>((tie) => ({
  filter: fc.record({
    must: fc.array(tie('condition'), { maxLength: 2 }),
    should: fc.array(tie('condition'), { maxLength: 2 }),
    mustNot: fc.array(tie('condition'), { maxLength: 2 }),
  }),
  condition: fc.oneof(
    { maxDepth: 2 },
    leaf,
    tie('filter').map((one): Condition => ({ condition: { $case: 'filter', value: one } })),
  ),
}));

it('says the same as the filter itself', () => {
  fc.assert(
    fc.property(filter, point, (asked, { id, label, payload: fields }) => {
      const stored: unknown = fields === null ? null : JSON.parse(JSON.stringify(fields));
      const words = new Set(factsOf(label, stored));
      expect(holds(whereOf(asked), words, uuidOf(id))).toBe(compileFilter(asked).test({ id, label, payload: stored }));
    }),
    { numRuns: 3000 },
  );
});

it('covers every range with few words', () => {
  fc.assert(
    fc.property(finite, finite, (gt, lt) => {
      expect(rangeFacts('a', { gt, lt }).length).toBeLessThanOrEqual(480);
    }),
  );
  expect(rangeFacts('a', { gt: 1, lt: 1 })).toEqual([]);
});

it('gives up on a payload of too many fields', () => {
  expect(factsOf(-1, { many: Array.from({ length: 900 }, (_, i) => i) })?.length).toBeLessThanOrEqual(maxFacts);
  expect(factsOf(-1, { many: Array.from({ length: 20_000 }, (_, i) => `${i}`) })).toBeNull();
});

/** What Weaviate's inverted index would answer. */
function holds(where: Where, words: ReadonlySet<string>, uuid: string): boolean {
  if (where === 'all' || where === 'none') return where === 'all';
  return asks(where, words, uuid);
}

function asks(one: WeaviateFilter, words: ReadonlySet<string>, uuid: string): boolean {
  switch (one.kind) {
    case 'any-of':
      return one.values.some((word) => words.has(word));
    case 'ids':
      return one.ids.includes(uuid);
    case 'and':
      return one.filters.every((inner) => asks(inner, words, uuid));
    case 'or':
      return one.filters.some((inner) => asks(inner, words, uuid));
    case 'not':
      return !asks(one.filter, words, uuid);
    case 'above':
      throw new Error('no filter of the contract asks this');
  }
}

function fieldValue(one: string | number | boolean) {
  if (typeof one === 'string') return { $case: 'text' as const, value: one };
  if (typeof one === 'number') return { $case: 'number' as const, value: one };
  return { $case: 'flag' as const, value: one };
}
