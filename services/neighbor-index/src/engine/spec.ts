// What a collection is, for its life: dimension, metric, index kind, durability, engine.
import { z } from 'zod';

const whole = (min: number, max: number) => z.number().int().min(min).max(max);

/** Index kinds with their options, all filled in; 0 stands for "by the number of rows". */
export const indexSpecSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('flat') }),
  z.object({
    kind: z.literal('hnsw'),
    m: whole(2, 128),
    efConstruction: whole(8, 2048),
    efSearch: whole(1, 4096),
  }),
  z.object({ kind: z.literal('ivf-flat'), lists: whole(0, 65_536), probes: whole(0, 65_536) }),
  z.object({
    kind: z.literal('ivf-pq'),
    lists: whole(0, 65_536),
    probes: whole(0, 65_536),
    subvectors: whole(1, 65_536),
    refine: whole(1, 100),
  }),
  z.object({ kind: z.literal('sq8'), refine: whole(1, 100) }),
]);

/** As in the contract's CollectionConfig, defaults filled in; what {@link collectionSpecSchema} reads back from disk. */
export const collectionSpecSchema = z.object({
  dimension: whole(1, 65_536),
  metric: z.enum(['inner-product', 'cosine', 'l2']),
  description: z.string(),
  index: indexSpecSchema,
  durability: z.enum(['synced', 'written']),
  engine: z.enum(['embedded', 'weaviate']),
  /** Null with the embedded engine. */
  weaviate: z.object({ replicas: whole(1, 7), shards: whole(1, 64) }).nullable(),
});

/** How a collection is searched. */
export type IndexSpec = z.output<typeof indexSpecSchema>;

/** A collection's configuration. */
export type CollectionSpec = z.output<typeof collectionSpecSchema>;

/** How near two vectors are. */
export type Metric = CollectionSpec['metric'];

/** What an acknowledged write survives. */
export type Durability = CollectionSpec['durability'];

/** What keeps a collection's points. */
export type EngineKind = CollectionSpec['engine'];
