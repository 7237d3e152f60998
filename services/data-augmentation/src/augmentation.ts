// The service's parts put together: roots, datasets, threads, handlers, and how they end.
import { createImageDecoder } from '@kindred/datasets';
import type { AugmentationServiceImplementation } from '@kindred/protocol/augmentation';
import type { Config } from './config.js';
import { createDatasetCatalogue } from './dataset-catalogue.js';
import { createDatasetRoots } from './dataset-roots.js';
import { createHandlers } from './handlers.js';
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
export function createAugmentation(config: Omit<Config, 'network'>): Augmentation {
  const draining = new AbortController();
  const catalogue = createDatasetCatalogue(createDatasetRoots(config.roots), config.cacheBytes);
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
