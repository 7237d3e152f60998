// The contract's filters as questions for the words of facts.ts.
import type { Condition, Filter } from '@kindred/protocol/neighbors';
import type { WeaviateFilter } from '@kindred/weaviate';
import { idFromWire } from '../filter.js';
import { equalsFact, existsFact, labelFact, rangeFacts } from './facts.js';
import { uuidOf } from './object-ids.js';

/** A filter that is to be asked; or known to hold for all points, or for none. */
export type Where = 'all' | 'none' | WeaviateFilter;

/** Property that holds a point's words. */
export const factsProperty = 'facts';

/** Points with at least one of these words. */
export function withFact(...values: string[]): WeaviateFilter {
  return { kind: 'any-of', property: factsProperty, values };
}

/** A checked filter; null: all points. */
export function whereOf(filter: Filter | null): Where {
  if (filter === null) return 'all';
  const should = filter.should.map(conditionOf);
  return and([
    ...filter.must.map(conditionOf),
    ...(should.length === 0 ? [] : [or(should)]),
    ...filter.mustNot.map((one) => not(conditionOf(one))),
  ]);
}

/** Those that are true of all. */
export function and(all: readonly Where[]): Where {
  if (all.includes('none')) return 'none';
  const filters = all.filter((one): one is WeaviateFilter => typeof one === 'object');
  return filters.length === 0 ? 'all' : filters.length === 1 ? filters[0]! : { kind: 'and', filters };
}

function or(all: readonly Where[]): Where {
  if (all.includes('all')) return 'all';
  const filters = all.filter((one): one is WeaviateFilter => typeof one === 'object');
  return filters.length === 0 ? 'none' : filters.length === 1 ? filters[0]! : { kind: 'or', filters };
}

function not(where: Where): Where {
  if (where === 'all') return 'none';
  return where === 'none' ? 'all' : { kind: 'not', filter: where };
}

function conditionOf({ condition }: Condition): Where {
  switch (condition?.$case) {
    case 'label':
      return withFact(...condition.value.anyOf.map(labelFact));
    case 'ids':
      return { kind: 'ids', ids: condition.value.anyOf.map((id) => uuidOf(idFromWire(id, 'ids'))) };
    case 'match': {
      const { field, anyOf } = condition.value;
      const facts = anyOf.flatMap(({ value }) => (value === undefined ? [] : [equalsFact(field, value.value)]));
      return facts.length === 0 ? 'none' : withFact(...facts);
    }
    case 'range': {
      const facts = rangeFacts(condition.value.field, condition.value);
      return facts.length === 0 ? 'none' : withFact(...facts);
    }
    case 'exists':
      return withFact(existsFact(condition.value.field));
    case 'filter':
      return whereOf(condition.value);
    case undefined:
      return 'all';
  }
}
