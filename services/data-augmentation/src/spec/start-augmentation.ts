// Test support: the service with a real gRPC port, and a client of it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AugmentationServiceDefinition, Split, type StreamBatchesRequest } from '@kindred/protocol/augmentation';
import {
  HealthDefinition,
  connect,
  createLogger,
  startService,
  type Connection,
  type Logger,
} from '@kindred/service-runtime';
import { createAugmentation } from '../augmentation.js';
import { augmentationDefinition } from '../batch-message.js';

/** A running service. */
export interface AugmentationUnderTest {
  readonly address: string;
  readonly client: Connection<typeof AugmentationServiceDefinition>['client'];
  readonly health: Connection<typeof HealthDefinition>['client'];
  close(): Promise<void>;
}

/** Starts the service on a free port. */
export async function startAugmentation(
  options: {
    roots?: readonly [string, ...string[]];
    threads?: number;
    cacheBytes?: number;
    maxStreams?: number;
    maxCalls?: number;
    artifactStore?: string;
    shardCache?: { folder: string; maxBytes: number };
    logger?: Logger;
  } = {},
): Promise<AugmentationUnderTest> {
  const { roots = ['/'], threads = 2, cacheBytes = 2 ** 30, maxStreams = 64, maxCalls = 16 } = options;
  const folder = mkdtempSync(join(tmpdir(), 'kindred-augmentation-'));
  const { artifactStore = join(folder, 'artifacts') } = options;
  const { shardCache = { folder: join(folder, 'shards'), maxBytes: 2 ** 30 } } = options;
  const logger = options.logger ?? createLogger('data-augmentation', 'silent');
  const images = { maxImagePixels: 32 * 2 ** 20, maxCallPixels: 256 * 2 ** 20, concurrency: 2, maxCalls };
  const augmentation = createAugmentation(
    { roots, threads, cacheBytes, maxStreams, images, artifactStore, shardCache },
    logger,
  );
  const service = await startService({
    name: 'data-augmentation',
    network: { host: '127.0.0.1', port: 0, metricsPort: 0, drainMs: 1000, maxConnectionAgeMs: 0 },
    register: (registrar) => registrar.add(augmentationDefinition, augmentation.handlers),
    onDrain: () => augmentation.drain(),
    onClose: () => augmentation.close(),
  });
  const target = { service: 'data-augmentation', address: service.address } as const;
  const batches = connect(AugmentationServiceDefinition, target);
  const health = connect(HealthDefinition, target);
  return {
    address: service.address,
    client: batches.client,
    health: health.client,
    async close() {
      batches.close();
      health.close();
      await service.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The reference's transformation for CIFAR-10 (SCAN's `simclr_cifar10.yml`). */
export const cifarSimclr = {
  size: 32,
  minScale: 0.2,
  maxScale: 1,
  jitterProbability: 0.8,
  brightness: 0.4,
  contrast: 0.4,
  saturation: 0.4,
  hue: 0.1,
  grayscaleProbability: 0.2,
};

/** An epoch over 300 drawn images in batches of 64, with changes. */
export function epochRequest(change: Partial<StreamBatchesRequest> = {}): StreamBatchesRequest {
  return {
    dataset: { name: 'drawn', split: Split.TRAIN, root: '', drawnSize: 300, drawnSeed: 1n },
    transformation: { kind: { $case: 'simclr', value: cifarSimclr } },
    batchSize: 64,
    shuffle: true,
    dropLast: false,
    seed: 7n,
    epoch: 3,
    firstBatch: 0,
    ...change,
  };
}
