// The service's parts put together: roots, datasets, threads, handlers, and how they end.
import { openStore } from '@kindred/artifact-store';
import { createImageDecoder } from '@kindred/datasets';
import type { AugmentationServiceImplementation } from '@kindred/protocol/augmentation';
import type { Logger } from '@kindred/service-runtime';
import type { Config } from './config.js';
import { createDatasetArtifacts } from './dataset-artifacts.js';
import { createDatasetCatalogue } from './dataset-catalogue.js';
import { createDatasetRoots } from './dataset-roots.js';
import { createHandlers } from './handlers.js';
import { openShardCache } from './shard-cache.js';
import { createViewWorkers } from './view-workers.js';

/** The service without its door. */
export interface Augmentation {
  readonly handlers: AugmentationServiceImplementation;
  /** Ends streams under way with UNAVAILABLE; readers go on with `first_batch` elsewhere. */
  drain(): void;
  /** Ends all threads. */
  close(): Promise<void>;
}

/** Starts the threads and makes the handlers. */
export function createAugmentation(config: Omit<Config, 'network'>, logger: Logger): Augmentation {
  const draining = new AbortController();
  const { folder, maxBytes } = config.shardCache;
  // Opened at first use: datasets in files need no artifact store.
  const store = once(() => openStore(config.artifactStore, { onNotice: (message) => logger.warn(message) }));
  const shards = once(async () => openShardCache({ store: await store(), folder, maxBytes, logger }));
  const artifacts = createDatasetArtifacts({ store, shards, logger });
  const catalogue = createDatasetCatalogue(createDatasetRoots(config.roots), artifacts, config.cacheBytes);
  const workers = createViewWorkers(config.threads);
  return {
    handlers: createHandlers({
      catalogue,
      workers,
      decoder: createImageDecoder(config.images),
      maxStreams: config.maxStreams,
      draining: draining.signal,
    }),
    drain: () => draining.abort(),
    async close() {
      draining.abort();
      await Promise.all([catalogue.close(), workers.close()]);
    },
  };
}

/** What `make` gives, made once; anew where that failed. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null;
  return () => {
    made ??= make().catch((thrown: unknown) => {
      made = null;
      throw thrown;
    });
    return made;
  };
}
