// A collection's configuration, from and to the wire.
import { invalidField } from '@kindred/errors';
import { Durability, Engine, Metric, type CollectionConfig } from '@kindred/protocol/neighbors';
import type { CollectionSpec, IndexSpec } from './engine/spec.js';
import { contractLimits } from './limits.js';

/** HNSW's usual values (Malkov and Yashunin 2016; faiss and Weaviate take the like). */
const hnswDefaults = { m: 16, efConstruction: 200, efSearch: 64 } as const;
const pqRefine = 10;
const sqRefine = 4;

const metrics = {
  [Metric.UNSPECIFIED]: 'inner-product',
  [Metric.INNER_PRODUCT]: 'inner-product',
  [Metric.COSINE]: 'cosine',
  [Metric.L2]: 'l2',
} as const;
const durabilities = {
  [Durability.UNSPECIFIED]: 'synced',
  [Durability.SYNCED]: 'synced',
  [Durability.WRITTEN]: 'written',
} as const;
const engines = {
  [Engine.UNSPECIFIED]: 'embedded',
  [Engine.EMBEDDED]: 'embedded',
  [Engine.WEAVIATE]: 'weaviate',
} as const;

/**
 * The configuration with its defaults filled in; `defaultReplicas`: of a Weaviate collection that says 0. INVALID_ARGUMENT, with the
 * field, for what is out of range.
 */
export function specFromWire(config: CollectionConfig | undefined, defaultReplicas = 1): CollectionSpec {
  if (config === undefined) throw invalidField('config', 'got nothing; needed: the dimension at least');
  const { dimension, description } = config;
  bounded('config.dimension', dimension, 1, contractLimits.dimension);
  if (Buffer.byteLength(description) > contractLimits.descriptionBytes) {
    throw invalidField(
      'config.description',
      `got ${Buffer.byteLength(description)} bytes; allowed: ${contractLimits.descriptionBytes}`,
    );
  }
  const engine = known('config.engine', engines, config.engine);
  const durability = known('config.durability', durabilities, config.durability);
  if (engine === 'weaviate' && durability !== 'synced') {
    throw invalidField(
      'config.durability',
      'got WRITTEN; allowed with ENGINE_WEAVIATE: SYNCED, as its own settings say',
    );
  }
  if (engine === 'embedded' && config.weaviate !== undefined) {
    throw invalidField('config.weaviate', 'got options; allowed: with ENGINE_WEAVIATE only');
  }
  const index = indexFromWire(config);
  if (engine === 'weaviate' && index.kind !== 'hnsw' && index.kind !== 'flat') {
    throw invalidField('config.index', `got ${index.kind}; allowed with ENGINE_WEAVIATE: flat, hnsw`);
  }
  const { replicas = 0, shards = 0 } = config.weaviate ?? {};
  bounded('config.weaviate.replicas', replicas, 0, 7);
  bounded('config.weaviate.shards', shards, 0, 64);
  return {
    dimension,
    metric: known('config.metric', metrics, config.metric),
    description,
    index,
    durability,
    engine,
    weaviate:
      engine === 'weaviate'
        ? { replicas: replicas === 0 ? defaultReplicas : replicas, shards: shards === 0 ? 1 : shards }
        : null,
  };
}

/** The inverse of {@link specFromWire}. */
export function specToWire(spec: CollectionSpec): CollectionConfig {
  return {
    dimension: spec.dimension,
    metric: { 'inner-product': Metric.INNER_PRODUCT, cosine: Metric.COSINE, l2: Metric.L2 }[spec.metric],
    description: spec.description,
    index: indexToWire(spec.index),
    durability: { synced: Durability.SYNCED, written: Durability.WRITTEN }[spec.durability],
    engine: { embedded: Engine.EMBEDDED, weaviate: Engine.WEAVIATE }[spec.engine],
    weaviate: spec.weaviate ?? undefined,
  };
}

function indexFromWire({ index, dimension }: CollectionConfig): IndexSpec {
  const at = (field: string): string => `config.${field}`;
  switch (index?.$case) {
    case 'hnsw': {
      const { m, efConstruction, efSearch } = index.value;
      return {
        kind: 'hnsw',
        m: orDefault(at('hnsw.m'), m, 2, 128, hnswDefaults.m),
        efConstruction: orDefault(at('hnsw.ef_construction'), efConstruction, 8, 2048, hnswDefaults.efConstruction),
        efSearch: orDefault(at('hnsw.ef_search'), efSearch, 1, 4096, hnswDefaults.efSearch),
      };
    }
    case 'ivfFlat': {
      const { lists, probes } = index.value;
      bounded(at('ivf_flat.lists'), lists, 0, 65_536);
      bounded(at('ivf_flat.probes'), probes, 0, 65_536);
      return { kind: 'ivf-flat', lists, probes };
    }
    case 'ivfPq': {
      const { lists, probes, subvectors, refine } = index.value;
      bounded(at('ivf_pq.lists'), lists, 0, 65_536);
      bounded(at('ivf_pq.probes'), probes, 0, 65_536);
      if (subvectors !== 0 && dimension % subvectors !== 0) {
        throw invalidField(
          at('ivf_pq.subvectors'),
          `got ${subvectors}; allowed: a divisor of the dimension ${dimension}`,
        );
      }
      return {
        kind: 'ivf-pq',
        lists,
        probes,
        subvectors: subvectors === 0 ? defaultSubvectors(dimension) : subvectors,
        refine: orDefault(at('ivf_pq.refine'), refine, 1, 100, pqRefine),
      };
    }
    case 'sq8':
      return { kind: 'sq8', refine: orDefault(at('sq8.refine'), index.value.refine, 1, 100, sqRefine) };
    case 'flat':
      return { kind: 'flat' };
    case undefined:
      return { kind: 'flat' };
  }
}

function indexToWire(index: IndexSpec): CollectionConfig['index'] {
  switch (index.kind) {
    case 'flat':
      return { $case: 'flat', value: {} };
    case 'hnsw':
      return { $case: 'hnsw', value: { m: index.m, efConstruction: index.efConstruction, efSearch: index.efSearch } };
    case 'ivf-flat':
      return { $case: 'ivfFlat', value: { lists: index.lists, probes: index.probes } };
    case 'ivf-pq': {
      const { lists, probes, subvectors, refine } = index;
      return { $case: 'ivfPq', value: { lists, probes, subvectors, refine } };
    }
    case 'sq8':
      return { $case: 'sq8', value: { refine: index.refine } };
  }
}

/** The largest divisor up to a quarter: 16 bits a number become 8 for four of them. */
function defaultSubvectors(dimension: number): number {
  for (let subvectors = Math.max(1, Math.floor(dimension / 4)); subvectors > 1; subvectors--) {
    if (dimension % subvectors === 0) return subvectors;
  }
  return 1;
}

function orDefault(field: string, value: number, min: number, max: number, standard: number): number {
  if (value === 0) return standard;
  bounded(field, value, min, max);
  return value;
}

function bounded(field: string, value: number, min: number, max: number): void {
  if (value < min || value > max) throw invalidField(field, `got ${value}; allowed: ${min} to ${max}`);
}

function known<T>(field: string, values: Readonly<Record<number, T>>, value: number): T {
  const found = values[value];
  if (found === undefined) throw invalidField(field, `got ${value}; allowed: a value of the contract`);
  return found;
}
