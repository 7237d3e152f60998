// Requests to the neighbour index, for the suites that are about it.
import { NeighborIndexServiceDefinition, type Filter, type UpsertRequest } from '@kindred/protocol/neighbors';
import { bytesOf, connect } from '@kindred/service-runtime';

/** A client of the neighbour index at `address`. */
export function connectNeighbors(address: string) {
  return connect(NeighborIndexServiceDefinition, { service: 'neighbor-index', address });
}

/** What {@link connectNeighbors} gives. */
export type NeighborClient = ReturnType<typeof connectNeighbors>['client'];

/** One condition of a filter. */
export type AnyCondition = NonNullable<Filter['must'][number]['condition']>;

/** Vectors of whole numbers from -128 to 127, the same for the same seed: their products are exact. */
export function wholeVectors(count: number, dimension: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count * dimension }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 24) - 128;
  });
}

/** `count` numbers from `first` on. */
export const range = (count: number, first = 0): number[] => Array.from({ length: count }, (_, i) => first + i);

/** Ids that are numbers, as the wire has them. */
export const numbers = (ids: readonly (number | bigint)[]): Uint8Array => bytesOf(BigUint64Array.from(ids, BigInt));

/** A message of points with numbers as ids. */
export function part(
  collection: string,
  ids: readonly (number | bigint)[],
  vectors: Float32Array,
  labels?: Int32Array,
): Partial<UpsertRequest> {
  return {
    collection,
    ids: numbers(ids),
    vectors: bytesOf(vectors),
    labels: labels === undefined ? new Uint8Array() : bytesOf(labels),
  };
}

/** A stream of messages. */
export async function* stream(...parts: Partial<UpsertRequest>[]): AsyncGenerator<Partial<UpsertRequest>> {
  yield* parts;
}

/** The condition that a payload's field has one of these values. */
export function match(field: string, ...values: (string | number | boolean)[]): { condition: AnyCondition } {
  const anyOf = values.map((value) => {
    if (typeof value === 'string') return { value: { $case: 'text' as const, value } };
    if (typeof value === 'number') return { value: { $case: 'number' as const, value } };
    return { value: { $case: 'flag' as const, value } };
  });
  return { condition: { $case: 'match', value: { field, anyOf } } };
}

/** All ids of a collection in Scroll's order, page by page. */
export async function scrollIds(
  client: NeighborClient,
  request: { readonly collection: string; readonly limit: number; readonly filter?: Partial<Filter> },
): Promise<(string | bigint)[]> {
  const ids: (string | bigint)[] = [];
  let after: Awaited<ReturnType<NeighborClient['scroll']>>['next'];
  do {
    const page = await client.scroll({ ...request, after });
    ids.push(...page.points.map(({ id }) => id!.id!.value));
    after = page.next;
  } while (after !== undefined);
  return ids;
}
