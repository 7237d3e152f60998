// The service's parts put together: store, models, the encoder's thread, jobs, handlers, and how they end.
import type { ArtifactStore } from '@kindred/artifact-store';
import { createImageDecoder } from '@kindred/datasets';
import type { EmbeddingServiceImplementation } from '@kindred/protocol/embedding';
import type { Config } from './config.js';
import { createDatasetJobs } from './dataset-jobs.js';
import { createEncoderThread } from './encoder-thread.js';
import { createHandlers } from './handlers.js';
import { createModelRegistry } from './model-registry.js';
import { connectPeers } from './peers.js';

/** The service without its door. */
export interface Embedding {
  readonly handlers: EmbeddingServiceImplementation;
  /** Cancels jobs and ends streams. */
  drain(): Promise<void>;
  /** Ends the thread and the connections. */
  close(): Promise<void>;
}

/** Starts the encoder's thread and makes the handlers. */
export function createEmbedding(config: Omit<Config, 'network' | 'artifactStore'>, store: ArtifactStore): Embedding {
  const { maxJobs, maxQueuedCalls } = config;
  const draining = new AbortController();
  // Jobs and model changes wait in the same queue as calls.
  const encoder = createEncoderThread(config.threads, maxQueuedCalls + 2 * maxJobs + config.maxLoadedModels);
  const models = createModelRegistry(store, encoder, config.maxLoadedModels);
  const peers = connectPeers(config.dataAugmentationAddress, config.neighborIndexAddress, config.peerRetryMs);
  const decoder = createImageDecoder({ ...config.images, maxCalls: maxQueuedCalls });
  const jobs = createDatasetJobs({ store, models, peers }, maxJobs);
  return {
    handlers: createHandlers({ models, jobs, decoder, maxQueuedCalls, draining: draining.signal }),
    async drain() {
      draining.abort();
      await jobs.close();
    },
    async close() {
      await jobs.close();
      peers.close();
      await encoder.close();
    },
  };
}
