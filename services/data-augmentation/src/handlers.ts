// The RPCs of AugmentationService: requests to domain calls, results to responses.
import type { ImageDecoder } from '@kindred/datasets';
import { KindredError, invalidField } from '@kindred/errors';
import { maxPixelBytes } from '@kindred/protocol';
import type { AugmentationServiceImplementation, DatasetReference } from '@kindred/protocol/augmentation';
import { bytesOf } from '@kindred/service-runtime';
import { onceCopied } from './batch-message.js';
import { planBatches } from './batch-plan.js';
import { streamBatches } from './batch-stream.js';
import type { DatasetCatalogue } from './dataset-catalogue.js';
import { createSendWindow } from './send-window.js';
import { viewShape } from './transformation.js';
import type { ViewWorkers } from './view-workers.js';
import { datasetKeyFromWire, datasetKeyToWire, descriptionToWire, transformationFromWire } from './wire.js';

/** Messages of a stream that may be written and not yet on their way. */
const maxUnsentMessages = 2;
/** Images of one Augment call. */
const maxAugmentImages = 256;

/** What the handlers work with. */
export interface HandlerParts {
  readonly catalogue: DatasetCatalogue;
  readonly workers: ViewWorkers;
  readonly decoder: ImageDecoder;
  /** Streams at one time. */
  readonly maxStreams: number;
  /** Aborted when the service begins to end: streams end with UNAVAILABLE. */
  readonly draining: AbortSignal;
}

/** Makes the handlers. */
export function createHandlers({
  catalogue,
  workers,
  decoder,
  maxStreams,
  draining,
}: HandlerParts): AugmentationServiceImplementation {
  let streams = 0;

  const acquire = async (reference: DatasetReference | undefined, signal: AbortSignal) => {
    const key = await catalogue.resolve(datasetKeyFromWire(reference));
    return { key, lease: await catalogue.acquire(key, signal) };
  };

  return {
    async listDatasets() {
      return { datasets: (await catalogue.list()).map(datasetKeyToWire) };
    },

    async getDataset(request, { signal }) {
      const { key, lease } = await acquire(request.dataset, signal);
      try {
        return { description: descriptionToWire(key, lease.dataset) };
      } finally {
        lease.release();
      }
    },

    async *streamBatches(request, context) {
      const signal = AbortSignal.any([context.signal, draining]);
      if (streams >= maxStreams) {
        throw new KindredError(
          'RESOURCE_EXHAUSTED',
          `${maxStreams} streams of batches are open already; allowed: ${maxStreams}`,
          {
            retryAfterMs: 1000,
          },
        );
      }
      streams++;
      let release = (): void => {};
      try {
        const transformation = transformationFromWire(request.transformation);
        const { lease } = await acquire(request.dataset, signal);
        release = lease.release;
        const { table, size, contentHash } = lease.dataset;
        const shape = viewShape(transformation);
        const plan = planBatches(size, shape.bytes, request);
        const window = createSendWindow(maxUnsentMessages);
        for await (const batch of streamBatches({ table, transformation, options: request, plan, workers }, signal)) {
          await window.ready(signal);
          signal.throwIfAborted();
          const { views, indices, labels, giveBack } = batch;
          onceCopied(views, giveBack);
          yield window.message(
            {
              batch: batch.batch,
              batchCount: plan.batchCount,
              count: indices.length,
              views: shape.views,
              height: shape.side,
              width: shape.side,
              indices: bytesOf(indices),
              labels: bytesOf(labels),
              contentSha256: batch.batch === request.firstBatch ? contentHash : '',
            },
            views,
          );
        }
      } catch (thrown) {
        if (draining.aborted)
          throw new KindredError('UNAVAILABLE', 'the service is ending; go on elsewhere with first_batch');
        throw thrown;
      } finally {
        release();
        streams--;
      }
    },

    async augment(request, { signal }) {
      const transformation = transformationFromWire(request.transformation);
      const { images, seed, epoch } = request;
      const shape = viewShape(transformation);
      checkAugmentSize(images.length, shape.bytes);
      const all = new Uint8Array(images.length * shape.bytes);
      await decoder.decodeEach(images, 'images', signal, async (image, imageIndex) => {
        const views = await workers.viewsOfLoose({ image, imageIndex, transformation, seed, epoch }, signal);
        all.set(views, imageIndex * shape.bytes);
      });
      return { images: all, count: images.length, views: shape.views, height: shape.side, width: shape.side };
    },
  };
}

function checkAugmentSize(count: number, imageBytes: number): void {
  if (count === 0) throw invalidField('images', `got none; allowed: 1 to ${maxAugmentImages}`);
  const allowed = Math.min(maxAugmentImages, Math.floor(maxPixelBytes / imageBytes));
  if (count <= allowed) return;
  throw new KindredError(
    'RESOURCE_EXHAUSTED',
    `images: got ${count}; allowed: at most ${allowed} a call with views of this size`,
    {
      violations: [{ field: 'images', description: `got ${count}; allowed: 1 to ${allowed}` }],
    },
  );
}
