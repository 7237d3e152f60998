// The service's nouns, put together: engines, collections, mining, snapshots, images.
import type { ArtifactStore } from '@kindred/artifact-store';
import type { FaissEngine } from '@kindred/faiss-native';
import type { NeighborIndexServiceImplementation } from '@kindred/protocol/neighbors';
import type { HealthBoard, Logger } from '@kindred/service-runtime';
import { createAliases } from './aliases.js';
import { defaultMaintenance, type MaintenanceSettings } from './collection/maintenance.js';
import { createCollections } from './collections.js';
import type { Config } from './config.js';
import { createEmbeddedEngine } from './engine/embedded-engine.js';
import type { Engine } from './engine/engine.js';
import { createHandlers } from './handlers.js';
import { createImageVectors } from './image-search.js';
import { createMining } from './mining.js';
import { createSnapshots } from './snapshots.js';
import { createNodeDisk } from './storage/disk.js';
import { createWeaviateEngine } from './weaviate/weaviate-engine.js';

const version = '0.1.0';

/** The service without its network. */
export interface NeighborIndex {
  readonly handlers: NeighborIndexServiceImplementation;
  /** Reads all collections; calls are answered as soon as theirs is read. */
  load(): Promise<void>;
  /** Ends jobs. */
  drain(): Promise<void>;
  /** Writes what is to be written and frees everything. */
  close(): Promise<void>;
}

/** What it is made of. */
export interface NeighborIndexParts {
  readonly config: Omit<Config, 'network' | 'artifactStore' | 'searchThreads'>;
  readonly store: ArtifactStore;
  readonly engine: FaissEngine;
  readonly logger: Logger;
  /** Told of each collection. */
  readonly health: HealthBoard;
  /** @default the settings of a service */
  readonly maintenance?: MaintenanceSettings;
}

/** Puts the service together; call {@link NeighborIndex.load} next. */
export function createNeighborIndex({
  config,
  store,
  engine,
  logger,
  health,
  maintenance = defaultMaintenance,
}: NeighborIndexParts): NeighborIndex {
  const { dataFolder, limits, buildThreads, growingRows, embeddingAddress, weaviate } = config;
  const disk = createNodeDisk(dataFolder);
  const embedded = createEmbeddedEngine({
    disk,
    limits,
    logger,
    maintenance: { ...maintenance, threads: buildThreads, growingRows },
    health,
  });
  const aliases = createAliases(disk);
  const isTaken = (name: string): boolean => embedded.list().some((one) => one.name === name);
  const engines: Engine[] = [embedded];
  if (weaviate !== null) engines.push(createWeaviateEngine({ settings: weaviate, disk, logger, health, isTaken }));
  const collections = createCollections(engines, aliases, limits);
  const mining = createMining({ store, engine, maxRunning: limits.maxMiningJobs, hold: embedded.quotas.hold });
  const snapshots = createSnapshots(store, embedded);
  const images = createImageVectors(embeddingAddress);
  return {
    handlers: createHandlers({
      version,
      collections,
      embedded,
      snapshots,
      mining,
      images,
      limits,
      defaultReplicas: weaviate?.replicas ?? 1,
    }),
    async load() {
      await aliases.load();
      await collections.load();
    },
    drain: () => mining.close(),
    async close() {
      images.close();
      await collections.close();
    },
  };
}
