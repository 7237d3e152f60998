// The indexes of the service by id, kept in the artifact store.
import type { ArtifactStore } from '@kindred/artifact-store';
import { KindredError, invalidField, notFound, toKindredError } from '@kindred/errors';
import type { FaissEngine } from '@kindred/faiss-native';
import type { Logger } from '@kindred/service-runtime';
import type { Limits } from './config.js';
import { manifestKey, readManifest, segmentPrefix, writeManifest, type Manifest, type Rows } from './segment.js';
import { createTurns } from './turns.js';
import { openVectorIndex, type VectorIndex } from './vector-index.js';

/** What describes a new index. */
export interface IndexDescription {
  readonly indexId: string;
  readonly dimension: number;
  readonly description: string;
}

/** The indexes. Every call is UNAVAILABLE until {@link Indexes.load} has ended. */
export interface Indexes {
  /** Loads what the store holds. A damaged index is logged and answers DATA_LOSS; the others work. */
  load(): Promise<void>;
  /** Makes an index; ALREADY_EXISTS when there is one of other content. */
  create(description: IndexDescription): Promise<VectorIndex>;
  /** NOT_FOUND when there is none, DATA_LOSS when its files are damaged. */
  get(indexId: string): VectorIndex;
  /** All that can be used, by id. */
  list(): VectorIndex[];
  /** Deletes an index and its vectors, damaged or not. */
  delete(indexId: string): Promise<void>;
  /** Stores rows; RESOURCE_EXHAUSTED past the service's limit of vectors. */
  upsert(index: VectorIndex, rows: Rows): Promise<void>;
}

/** What the indexes live on. */
export interface IndexesParts {
  readonly store: ArtifactStore;
  readonly engine: FaissEngine;
  readonly limits: Limits;
  readonly logger: Logger;
}

const idForm = /^[a-z0-9-]{1,63}$/;

/** Makes an empty set; call {@link Indexes.load} next. */
export function createIndexes({ store, engine, limits, logger }: IndexesParts): Indexes {
  const indexes = new Map<string, VectorIndex | KindredError>();
  const changes = createTurns();
  let loaded = false;
  let vectors = 0;

  const open = (indexId: string, manifest: Manifest): Promise<VectorIndex> => {
    const onCompactionError = (err: unknown): void => logger.error({ indexId, err }, 'segments could not be compacted');
    return openVectorIndex(indexId, manifest, { store, engine, onCompactionError });
  };
  const ready = (): void => {
    if (loaded) return;
    throw new KindredError('UNAVAILABLE', 'the indexes are being loaded; retry shortly', { retryAfterMs: 1000 });
  };
  const get = (indexId: string): VectorIndex => {
    ready();
    const index = indexes.get(indexId);
    if (index === undefined) throw notFound('index', indexId);
    if (index instanceof KindredError) throw index;
    return index;
  };
  const loadOne = async (indexId: string): Promise<void> => {
    try {
      const index = await open(indexId, await readManifest(store, indexId));
      indexes.set(indexId, index);
      vectors += index.size;
      logger.info({ indexId, size: index.size }, 'index loaded');
    } catch (thrown) {
      const error = toKindredError(thrown);
      indexes.set(indexId, error);
      logger.error({ indexId, err: error }, 'index cannot be used');
    }
  };

  return {
    async load() {
      for await (const { key } of store.list('indexes/')) {
        const indexId = /^indexes\/([^/]+)\/index\.json$/.exec(key)?.[1];
        if (indexId !== undefined) await loadOne(indexId);
      }
      loaded = true;
    },
    create({ indexId, dimension, description }) {
      ready();
      checkDescription(indexId, dimension);
      return changes.write(async () => {
        if (indexes.has(indexId)) {
          const existing = get(indexId);
          const { manifest } = existing;
          if (manifest.dimension === dimension && manifest.description === description) return existing;
          throw new KindredError(
            'ALREADY_EXISTS',
            `index '${indexId}' exists with dimension ${manifest.dimension} and description '${manifest.description}'; ` +
              `got ${dimension} and '${description}'; delete it first, or choose another id`,
            { resource: { type: 'index', name: indexId } },
          );
        }
        const createTime = new Date().toISOString();
        const manifest: Manifest = { version: 1, dimension, description, createTime, nextSegment: 0, segments: [] };
        const index = await open(indexId, manifest);
        await writeManifest(store, indexId, manifest);
        indexes.set(indexId, index);
        return index;
      });
    },
    get,
    list() {
      ready();
      const usable = [...indexes.values()].filter((index): index is VectorIndex => !(index instanceof KindredError));
      return usable.sort((a, b) => (a.id < b.id ? -1 : 1));
    },
    async delete(indexId) {
      ready();
      await changes.write(async () => {
        const index = indexes.get(indexId);
        if (index === undefined) return;
        if (!(index instanceof KindredError)) {
          await index.close();
          vectors -= index.size;
        }
        indexes.delete(indexId);
        // The manifest first: without it the segments belong to nothing, whenever the process ends.
        await store.delete(manifestKey(indexId));
        for await (const { key } of store.list(segmentPrefix(indexId))) await store.delete(key);
      });
    },
    async upsert(index, rows) {
      let reserved = 0;
      try {
        await index.upsert(rows, (growth) => {
          if (vectors + growth > limits.maxVectors) throw overLimit(vectors + growth, limits.maxVectors);
          vectors += growth;
          reserved = growth;
        });
      } catch (thrown) {
        vectors -= reserved;
        throw thrown;
      }
    },
  };
}

/** The error of more vectors than the service may hold. */
export function overLimit(got: number, allowed: number): KindredError {
  return new KindredError(
    'RESOURCE_EXHAUSTED',
    `got ${got} vectors in all; allowed: ${allowed} (KINDRED_NEIGHBOR_INDEX_MAX_VECTORS)`,
  );
}

function checkDescription(indexId: string, dimension: number): void {
  if (!idForm.test(indexId)) {
    throw invalidField('index_id', `got '${indexId}'; allowed: 1 to 63 lower-case letters, digits and dashes`);
  }
  if (dimension < 1 || dimension > 65_536) throw invalidField('dimension', `got ${dimension}; allowed: 1 to 65536`);
}
