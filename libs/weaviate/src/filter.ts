// Filters as plain data, and as Weaviate's client takes them.
import type { FilterValue } from 'weaviate-client';

/** Which objects. Properties of texts are compared as whole values. */
export type WeaviateFilter =
  | { readonly kind: 'any-of'; readonly property: string; readonly values: readonly string[] }
  | { readonly kind: 'above'; readonly property: string; readonly value: string }
  | { readonly kind: 'ids'; readonly ids: readonly string[] }
  | { readonly kind: 'and' | 'or'; readonly filters: readonly WeaviateFilter[] }
  | { readonly kind: 'not'; readonly filter: WeaviateFilter };

/** The filter in the client's form. Its builders only fill in these fields; made here, the module is not needed for it. */
export function toClientFilter(filter: WeaviateFilter): FilterValue {
  switch (filter.kind) {
    case 'any-of':
      return leaf('ContainsAny', filter.property, [...filter.values]);
    case 'above':
      return leaf('GreaterThan', filter.property, filter.value);
    case 'ids':
      return leaf('ContainsAny', '_id', [...filter.ids]);
    case 'and':
      return { operator: 'And', filters: filter.filters.map(toClientFilter), value: null };
    case 'or':
      return { operator: 'Or', filters: filter.filters.map(toClientFilter), value: null };
    case 'not':
      return { operator: 'Not', filters: [toClientFilter(filter.filter)], value: null };
  }
}

function leaf(operator: 'ContainsAny' | 'GreaterThan', property: string, value: string[] | string): FilterValue {
  return {
    operator,
    target: { property, singleTarget: undefined, multiTarget: undefined, count: undefined },
    value,
  };
}
