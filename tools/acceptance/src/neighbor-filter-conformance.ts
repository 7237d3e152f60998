// Filters over every engine: drawn points and filters, judged by a plain predicate over the points themselves.
import { bytesOf } from '@kindred/service-runtime';
import { expect, it } from 'vitest';
import { createRandom } from './instants.js';
import type { ConformanceTarget } from './neighbor-conformance.js';
import { match, part, range, scrollIds, stream, wholeVectors, type AnyCondition } from './neighbor-requests.js';

interface Drawn {
  readonly id: number;
  readonly label: number;
  readonly payload: Readonly<Record<string, unknown>> | null;
}

interface Question {
  readonly condition: AnyCondition;
  holds(point: Drawn): boolean;
}

const count = 150;
const dimension = 4;

/** Defines the tests. */
export function defineFilterConformance(target: Pick<ConformanceTarget, 'client' | 'config' | 'name'>): void {
  it('finds exactly what matches a filter', { timeout: 300_000 }, async () => {
    const client = target.client();
    const { below, choose, fraction } = createRandom(11);
    const values = ['x', 'X', ' x', 'x y', '', 'ü', 1, 0, -0.5, 2.5, 1e300, -1e-300, true, false, null];
    const draw = (): Drawn['payload'] => {
      if (fraction() < 0.2) return null;
      const payload: Record<string, unknown> = {};
      if (fraction() < 0.8) payload['a'] = choose(values);
      if (fraction() < 0.6) payload['tags'] = range(below(4)).map(() => choose(values));
      if (fraction() < 0.6) payload['camera'] = { size: below(40) / 4 - 5, model: choose(['x', 'y', 'z']) };
      if (fraction() < 0.1) payload['a.b'] = 'unreachable';
      return payload;
    };
    const points: Drawn[] = range(count).map((id) => ({ id, label: below(4) - 1, payload: draw() }));
    const collection = 'c-filters';
    const index = { $case: 'hnsw' as const, value: {} };
    await client.createCollection({ collection, config: { ...target.config, dimension, index } });
    await client.upsert(
      stream({
        ...part(
          collection,
          range(count),
          wholeVectors(count, dimension, 2),
          Int32Array.from(points, ({ label }) => label),
        ),
        payloads: points.map(({ payload }) => (payload === null ? '' : JSON.stringify(payload))),
      }),
    );

    const drawQuestion = (depth: number): Question => {
      const kind = below(depth > 0 ? 6 : 5);
      const field = choose(['a', 'tags', 'camera.size', 'camera.model', 'camera', 'none', 'tags.0']);
      if (kind === 0) {
        const anyOf = range(1 + below(2)).map(() => below(4) - 1);
        return { condition: { $case: 'label', value: { anyOf } }, holds: ({ label }) => anyOf.includes(label) };
      }
      if (kind === 1) {
        const wanted = range(1 + below(3)).map(() => choose(values.filter((value) => value !== null)));
        return {
          ...match(field, ...wanted),
          holds: (point) => elements(point, field).some((one) => wanted.includes(one as string)),
        };
      }
      if (kind === 2) {
        const bound = (): number | undefined =>
          fraction() < 0.5 ? undefined : choose([-5, -0.5, 0, 1, 2.5, 3.25, 1e300]);
        const bounds = { gt: bound(), gte: bound(), lt: bound(), lte: bound() };
        if (Object.values(bounds).every((one) => one === undefined)) bounds.gte = 0;
        const within = (value: unknown): boolean =>
          typeof value === 'number' &&
          !(bounds.gt !== undefined && value <= bounds.gt) &&
          !(bounds.gte !== undefined && value < bounds.gte) &&
          !(bounds.lt !== undefined && value >= bounds.lt) &&
          !(bounds.lte !== undefined && value > bounds.lte);
        return {
          condition: { $case: 'range', value: { field, ...bounds } },
          holds: (point) => elements(point, field).some(within),
        };
      }
      if (kind === 3) {
        return {
          condition: { $case: 'exists', value: { field } },
          holds: (point) => elements(point, field).some((one) => one !== null && one !== undefined),
        };
      }
      if (kind === 4) {
        const wanted = range(5).map(() => below(count + 20));
        const anyOf = wanted.map((id) => ({ id: { $case: 'number' as const, value: BigInt(id) } }));
        return { condition: { $case: 'ids', value: { anyOf } }, holds: ({ id }) => wanted.includes(id) };
      }
      const { filter, holds } = drawFilter(depth - 1);
      return { condition: { $case: 'filter', value: filter }, holds };
    };
    const drawFilter = (depth: number) => {
      const [must, should, mustNot] = [0, 1, 2].map(() => range(below(3)).map(() => drawQuestion(depth)));
      const conditions = (questions: readonly Question[]) => questions.map(({ condition }) => ({ condition }));
      return {
        filter: { must: conditions(must!), should: conditions(should!), mustNot: conditions(mustNot!) },
        holds: (point: Drawn): boolean =>
          must!.every(({ holds }) => holds(point)) &&
          (should!.length === 0 || should!.some(({ holds }) => holds(point))) &&
          !mustNot!.some(({ holds }) => holds(point)),
      };
    };
    const query = bytesOf(wholeVectors(1, dimension, 9));
    for (const round of range(60)) {
      const { filter, holds } = drawFilter(2);
      const wanted = points.filter(holds).map(({ id }) => BigInt(id));
      const shown = `filter ${round}: ${JSON.stringify(filter, (_, one: unknown) => (typeof one === 'bigint' ? String(one) : one))}`;
      expect((await client.count({ collection, filter })).count, shown).toBe(BigInt(wanted.length));
      expect(await scrollIds(client, { collection, limit: 40, filter }), shown).toEqual(wanted);
      const { results } = await client.search({ collection, queries: query, k: count, options: { filter } });
      const found = results[0]!.neighbors.map(({ id }) => id);
      expect(
        found.sort((a, b) => (a < b ? -1 : 1)),
        shown,
      ).toEqual(wanted);
    }
  });
}

/** What a condition on `field` looks at: its value, or the elements of it. */
function elements({ payload }: Drawn, field: string): readonly unknown[] {
  let value: unknown = payload;
  for (const name of field.split('.')) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
    value = (value as Record<string, unknown>)[name];
  }
  return Array.isArray(value) ? value : [value];
}
