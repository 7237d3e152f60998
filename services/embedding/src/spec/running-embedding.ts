// Test support: the service on free ports over a store of its own, with small models, and a client of each door.
import { join } from 'node:path';
import { createFolderStore, type ArtifactStore } from '@kindred/artifact-store';
import { EmbeddingServiceDefinition } from '@kindred/protocol/embedding';
import { GRPCInferenceServiceDefinition } from '@kindred/protocol/inference';
import { connect, createLogger, startService, type Connection } from '@kindred/service-runtime';
import { createArchitecture, encodeModelFile, initialParameters } from '@kindred/simclr';
import { temporaryFolder } from '@kindred/testing';
import type { ConfiguredLimits } from '../config.js';
import { createEmbedding } from '../embedding.js';

/** The model's vectors have so many numbers. */
export const dimension = 16;

/** A model file of random weights; crops of 32 pixels, made for images of `resizeSide`. */
export function smallModel(seed: number, resizeSide: number | null = 32): Uint8Array {
  const architecture = createArchitecture({ width: 4, featureDim: dimension });
  return encodeModelFile({
    architecture,
    parameters: initialParameters(architecture, seed),
    normalisation: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
    cropSize: 32,
    resizeSide,
    origin: {},
  });
}

/** A running service. */
export interface RunningEmbedding {
  readonly store: ArtifactStore;
  readonly address: string;
  readonly metricsAddress: string;
  readonly client: Connection<typeof EmbeddingServiceDefinition>['client'];
  readonly inference: Connection<typeof GRPCInferenceServiceDefinition>['client'];
  /** Puts a model of random weights into the store. */
  put(name: string, seed: number, resizeSide?: number | null): Promise<void>;
  close(): Promise<void>;
}

/** Starts the service in this process; `limits` replace single ones. */
export async function startEmbedding(limits: Partial<ConfiguredLimits> = {}): Promise<RunningEmbedding> {
  const store = await createFolderStore(join(temporaryFolder(), 'artifacts'));
  const logger = createLogger('embedding', 'silent');
  const embedding = createEmbedding(
    {
      dataAugmentationAddress: '127.0.0.1:1',
      neighborIndexAddress: '127.0.0.1:1',
      threads: 2,
      preload: [],
      followMs: 50,
      limits: {
        maxImages: 256,
        maxImagePixels: 4 * 2 ** 20,
        maxRequestPixels: 64 * 2 ** 20,
        maxBatch: 8,
        instances: 2,
        maxDelayMs: 1,
        maxDepth: 600,
        maxQueuedBytes: 256 * 2 ** 20,
        decodingThreads: 2,
        maxModelBytes: 2 ** 30,
        maxCacheBytes: 0,
        maxJobs: 1,
        ...limits,
      },
      peerRetryMs: 0,
    },
    store,
    logger,
  );
  const service = await startService({
    name: 'embedding',
    network: { host: '127.0.0.1', port: 0, metricsPort: 0, drainMs: 2000, maxConnectionAgeMs: 0 },
    register(registrar) {
      registrar.add(EmbeddingServiceDefinition, embedding.handlers);
      registrar.add(GRPCInferenceServiceDefinition, embedding.inferenceHandlers);
    },
    ready: embedding.ready,
    health: embedding.health,
    overloaded: embedding.overloaded,
    onDrain: () => embedding.drain(),
    onClose: () => embedding.close(),
    logger,
  });
  const { address, metricsAddress } = service;
  const own = connect(EmbeddingServiceDefinition, { service: 'embedding', address });
  const inference = connect(GRPCInferenceServiceDefinition, { service: 'embedding', address });
  return {
    store,
    address,
    metricsAddress,
    client: own.client,
    inference: inference.client,
    async put(name, seed, resizeSide) {
      await store.put(`runs/${name}/model.safetensors`, smallModel(seed, resizeSide));
    },
    async close() {
      own.close();
      inference.close();
      await service.close();
    },
  };
}
