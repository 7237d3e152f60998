// The service's parts put together: store, models, the encoders' threads, jobs, both doors, and how they end.
import { setMaxListeners } from 'node:events';
import type { ArtifactStore } from '@kindred/artifact-store';
import type { EmbeddingServiceImplementation } from '@kindred/protocol/embedding';
import type { GRPCInferenceServiceImplementation } from '@kindred/protocol/inference';
import { createHealthBoard, type Logger, type Overload } from '@kindred/service-runtime';
import type { Config } from './config.js';
import { createDatasetJobs } from './dataset-jobs.js';
import { createEmbedImages } from './embed-images.js';
import { createEncoderThreads } from './engine/encoder-threads.js';
import { createHandlers } from './handlers.js';
import { createImagePreparation } from './images/image-preparation.js';
import { createInferenceHandlers } from './inference-handlers.js';
import { createModelSource } from './models/model-source.js';
import { createServedModels } from './models/served-models.js';
import { createOverload } from './overload.js';
import { connectPeers } from './peers.js';
import { serviceInfo } from './service-info.js';
import { createVectorCache } from './vector-cache.js';

/** The service without its door. */
export interface Embedding {
  readonly handlers: EmbeddingServiceImplementation;
  /** Health of the process, its services and each model (`models/<name>`). */
  readonly health: ReturnType<typeof createHealthBoard>;
  readonly inferenceHandlers: GRPCInferenceServiceImplementation;
  /** Says whether a call is refused before its message is read. */
  readonly overloaded: (path: string) => Overload | null;
  /** Ends when the models that are to be loaded from the start are warm. */
  readonly ready: Promise<void>;
  /** Cancels jobs and ends streams. */
  drain(): Promise<void>;
  /** Ends the threads and the connections. */
  close(): Promise<void>;
}

/** Starts the threads and makes the handlers. */
export function createEmbedding(
  config: Omit<Config, 'network' | 'artifactStore'>,
  store: ArtifactStore,
  logger: Logger,
): Embedding {
  const info = serviceInfo(config);
  const draining = new AbortController();
  // Each stream listens; Node would warn of the eleventh listener.
  setMaxListeners(0, draining.signal);
  const health = createHealthBoard();
  const { instances } = info;
  const threadsEach = Math.max(1, Math.floor(config.threads / instances));
  const encoder = createEncoderThreads({ instances, threadsEach });
  const models = createServedModels({
    ...{ source: createModelSource(store), encoder, batching: info, logger, health },
    maxBytes: info.maxModelBytes,
    followMs: config.followMs,
  });
  const preparation = createImagePreparation(info, info.decodingThreads);
  const cache = createVectorCache(info.maxCacheBytes);
  const embedImages = createEmbedImages({ models, preparation, limits: info, cache });
  const peers = connectPeers(config.dataAugmentationAddress, config.neighborIndexAddress, config.peerRetryMs);
  const jobs = createDatasetJobs({ store, models, peers }, info.maxJobs);
  let warm = false;
  const ready = (async () => {
    for (const model of config.preload) await models.load(model);
    warm = true;
  })();
  ready.catch(() => {});
  return {
    health,
    handlers: createHandlers({ models, jobs, embedImages, info, draining: draining.signal }),
    inferenceHandlers: createInferenceHandlers({
      ...{ models, embedImages },
      ready: () => warm && !draining.signal.aborted,
    }),
    // What the cache holds is answered however long the queues are.
    overloaded: cache.enabled ? () => null : createOverload(models),
    ready,
    async drain() {
      draining.abort();
      await jobs.close();
    },
    async close() {
      await jobs.close();
      models.close();
      peers.close();
      await preparation.close();
      await encoder.close();
    },
  };
}
