// A collection as a class of Weaviate: its name, its schema, and the configuration that its description holds.
import { invalidField } from '@kindred/errors';
import type { WeaviateClass } from '@kindred/weaviate';
import { z } from 'zod';
import { collectionSpecSchema, type CollectionSpec } from '../engine/spec.js';
import { factsProperty } from './where.js';

/** Points up to which Weaviate compares all that a filter allows, instead of walking the graph. */
export const scanLimit = 40_000;

/** Properties beside the words: what is read back of a point. */
export const properties = { order: 'order', label: 'label', payload: 'payload' } as const;

/** What a class's description says. */
export interface DescribedClass {
  readonly collection: string;
  readonly spec: CollectionSpec;
  readonly createTime: Date;
}

const descriptionSchema = z.object({
  kindred: z.literal(1),
  collection: z.string(),
  createTime: z.iso.datetime(),
  spec: collectionSpecSchema,
});

/** A collection's class. Names have dashes but no underscores, so that no two share one. */
export function classNameOf(prefix: string, collection: string): string {
  return `${prefix}_${collection.replaceAll('-', '_')}`;
}

/** The schema of a new class, as Weaviate's REST interface takes it. */
export function classSchema(prefix: string, { collection, spec, createTime }: DescribedClass) {
  const description = { kindred: 1, collection, createTime: createTime.toISOString(), spec };
  return {
    class: classNameOf(prefix, collection),
    description: JSON.stringify(description),
    vectorizer: 'none',
    vectorIndexType: spec.index.kind,
    vectorIndexConfig: vectorIndexConfig(spec),
    properties: [
      text(properties.order, 'text', true),
      { name: properties.label, dataType: ['int'], indexFilterable: false, indexRangeFilters: false },
      text(properties.payload, 'text', false),
      text(factsProperty, 'text[]', true),
    ],
    invertedIndexConfig: { stopwords: { preset: 'none' } },
    replicationConfig: {
      factor: spec.weaviate?.replicas ?? 1,
      // A node that was away gets what it missed without being asked for it; of a deletion and a write the later one holds.
      asyncEnabled: (spec.weaviate?.replicas ?? 1) > 1,
      deletionStrategy: 'TimeBasedResolution',
    },
    shardingConfig: { desiredCount: spec.weaviate?.shards ?? 1 },
  };
}

/** What a class's description says; null where it is no collection of this prefix. */
export function readClass(prefix: string, { name, description }: WeaviateClass): DescribedClass | null {
  if (!name.startsWith(`${prefix}_`)) return null;
  try {
    const { collection, createTime, spec } = descriptionSchema.parse(JSON.parse(description));
    if (classNameOf(prefix, collection) !== name) return null;
    return { collection, spec, createTime: new Date(createTime) };
  } catch {
    return null;
  }
}

/** Vectors of cosine are of length 1 already: their inner product is it. */
function vectorIndexConfig({ index, metric }: CollectionSpec) {
  const distance = metric === 'l2' ? 'l2-squared' : 'dot';
  // No compression: scores are exact.
  const plain = { distance, skipDefaultQuantization: true };
  if (index.kind === 'flat') return plain;
  if (index.kind !== 'hnsw') throw invalidField('config.index', `got ${index.kind}; allowed with Weaviate: flat, hnsw`);
  const { m, efConstruction, efSearch } = index;
  return { ...plain, maxConnections: m, efConstruction, ef: efSearch, flatSearchCutoff: scanLimit };
}

function text(name: string, type: 'text' | 'text[]', indexFilterable: boolean) {
  return { name, dataType: [type], tokenization: 'field', indexFilterable, indexSearchable: false };
}
