// Test support: the service in this process on a free port, on a folder of its own, and requests for it.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createFolderStore } from '@kindred/artifact-store';
import { createFaissEngine } from '@kindred/faiss-native';
import { NeighborIndexServiceDefinition, type UpsertRequest } from '@kindred/protocol/neighbors';
import { bytesOf, connect, createHealthBoard, createLogger, startService } from '@kindred/service-runtime';
import { testLimits } from './test-limits.js';
import { defaultMaintenance, type MaintenanceSettings } from '../collection/maintenance.js';
import type { Limits } from '../limits.js';
import { createNeighborIndex } from '../neighbor-index.js';
import type { WeaviateSettings } from '../weaviate/cluster.js';

/** A part of an Upsert stream. */
export type UpsertPart = Partial<UpsertRequest>;

/** What a test may set. */
export interface StartOptions {
  readonly limits?: Partial<Limits>;
  readonly maintenance?: Partial<MaintenanceSettings>;
  readonly embeddingAddress?: string;
  readonly weaviate?: WeaviateSettings;
}

/** Starts the service on `folder`, which holds artifacts and collections. */
export async function startNeighborIndex(folder: string, options: StartOptions = {}) {
  const limits = { ...testLimits, ...options.limits };
  const logger = createLogger('neighbor-index', 'silent');
  const dataFolder = join(folder, 'collections-of-service');
  await mkdir(dataFolder, { recursive: true });
  const store = await createFolderStore(folder);
  const engine = createFaissEngine();
  const health = createHealthBoard();
  const index = createNeighborIndex({
    config: {
      dataFolder,
      limits,
      buildThreads: 1,
      growingRows: options.maintenance?.growingRows ?? defaultMaintenance.growingRows,
      embeddingAddress: options.embeddingAddress ?? '127.0.0.1:1',
      weaviate: options.weaviate ?? null,
    },
    store,
    engine,
    logger,
    health,
    maintenance: { ...defaultMaintenance, ...options.maintenance },
  });
  const ready = index.load();
  const service = await startService({
    name: 'neighbor-index',
    network: { host: '127.0.0.1', port: 0, metricsPort: 0, drainMs: 2000, maxConnectionAgeMs: 0 },
    logger,
    health,
    ready,
    register: (services) => services.add(NeighborIndexServiceDefinition, index.handlers),
    onDrain: () => index.drain(),
    onClose: async () => {
      await index.close();
      await engine.close();
    },
  });
  await ready;
  const connection = connect(NeighborIndexServiceDefinition, { service: 'neighbor-index', address: service.address });
  const close = async () => {
    connection.close();
    await service.close();
  };
  return { ...connection, dataFolder, metricsAddress: service.metricsAddress, close };
}

/** Vectors of whole numbers from -128 to 127, the same for the same seed: their products are exact. */
export function wholeVectors(count: number, dimension: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count * dimension }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 24) - 128;
  });
}

/** A message of points with numbers as ids. */
export function part(collection: string, ids: number[], vectors: Float32Array, labels?: Int32Array): UpsertPart {
  return {
    collection,
    ids: bytesOf(BigUint64Array.from(ids, BigInt)),
    vectors: bytesOf(vectors),
    labels: labels === undefined ? new Uint8Array() : bytesOf(labels),
  };
}

/** A stream of messages. */
export async function* stream(...parts: UpsertPart[]): AsyncGenerator<UpsertPart> {
  yield* parts;
}

/** `count` numbers from `first` on. */
export const range = (count: number, first = 0): number[] => Array.from({ length: count }, (_, i) => first + i);
