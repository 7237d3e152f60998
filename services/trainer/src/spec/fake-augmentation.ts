// A data-augmentation service of a few lines for the trainer's own tests: images by formula, batches by (epoch, index).
import type { AugmentationServiceImplementation, StreamBatchesRequest } from '@kindred/protocol/augmentation';
import { AugmentationServiceDefinition } from '@kindred/protocol/augmentation';
import { bytesOf, createLogger, startService, type RunningService } from '@kindred/service-runtime';

const size = 8;
const classes = 2;
const imageCount = 48;
/** What the fake says of the content of its images. */
export const fakeContentSha256 = 'fa'.repeat(32);

/** Starts the fake on 127.0.0.1. Its images are stripes whose direction is the class. */
export function startFakeAugmentation(port = 0): Promise<RunningService> {
  return startService({
    name: 'data-augmentation',
    network: { host: '127.0.0.1', port, metricsPort: 0, drainMs: 100, maxConnectionAgeMs: 0 },
    logger: createLogger('fake', 'silent'),
    register: (registrar) => registrar.add(AugmentationServiceDefinition, handlers),
  });
}

const missing = (): never => {
  throw new Error('not part of this test');
};

const handlers: AugmentationServiceImplementation = {
  listDatasets: missing,
  getDataset: missing,
  augment: missing,
  async *streamBatches(request) {
    const views = request.transformation?.kind?.$case === 'simclr' ? 2 : 1;
    const batchCount = request.dropLast
      ? Math.floor(imageCount / request.batchSize)
      : Math.ceil(imageCount / request.batchSize);
    for (let batch = request.firstBatch; batch < batchCount; batch++) {
      const first = batch * request.batchSize;
      const count = Math.min(request.batchSize, imageCount - first);
      const indices = Uint32Array.from({ length: count }, (_, i) => order(request, first + i));
      yield {
        batch,
        batchCount,
        count,
        views,
        height: size,
        width: size,
        images: pixels(request, indices, views),
        indices: bytesOf(indices),
        labels: bytesOf(Int32Array.from(indices, (index) => index % classes)),
        contentSha256: batch === request.firstBatch ? fakeContentSha256 : '',
      };
    }
  },
};

function order({ shuffle, epoch }: StreamBatchesRequest, position: number): number {
  return shuffle ? (position * 5 + epoch * 7) % imageCount : position;
}

function pixels({ epoch }: StreamBatchesRequest, indices: Uint32Array, views: number): Uint8Array {
  const data = new Uint8Array(indices.length * views * size * size * 3);
  let at = 0;
  for (const index of indices) {
    for (let view = 0; view < views; view++) {
      const phase = views === 1 ? index : index * 3 + view * 5 + epoch;
      for (let y = 0; y < size; y++) {
        for (let x = 0; x < size; x++) {
          const along = index % classes === 0 ? x : y;
          const value = (along + phase) % 4 < 2 ? 40 : 210;
          for (let channel = 0; channel < 3; channel++) data[at++] = (value + index * 11 + channel * 3 + view) % 256;
        }
      }
    }
  }
  return data;
}
