// The RPCs of EmbeddingService: requests to domain calls, results to responses.
import type { ImageDecoder } from '@kindred/datasets';
import { KindredError, invalidField } from '@kindred/errors';
import type { EmbedRequest, EmbedResponse, EmbeddingServiceImplementation } from '@kindred/protocol/embedding';
import { bytesOf } from '@kindred/service-runtime';
import type { DatasetJobs } from './dataset-jobs.js';
import { modelImages } from './model-images.js';
import type { ModelRegistry } from './model-registry.js';
import { featureKindFromWire, jobToWire, modelToWire } from './wire.js';

/** What the handlers work with. */
export interface HandlerParts {
  readonly models: ModelRegistry;
  readonly jobs: DatasetJobs;
  readonly decoder: ImageDecoder;
  /** Embed calls at work or waiting; one more is RESOURCE_EXHAUSTED. */
  readonly maxQueuedCalls: number;
  /** Aborted when the service begins to end: streams end. */
  readonly draining: AbortSignal;
}

/** Makes the handlers. */
export function createHandlers({
  models,
  jobs,
  decoder,
  maxQueuedCalls,
  draining,
}: HandlerParts): EmbeddingServiceImplementation {
  let calls = 0;

  const embed = async (request: EmbedRequest, signal: AbortSignal): Promise<EmbedResponse> => {
    if (calls >= maxQueuedCalls) {
      throw new KindredError(
        'RESOURCE_EXHAUSTED',
        `${calls} calls wait already; allowed: ${maxQueuedCalls}; retry later`,
        { retryAfterMs: 200 },
      );
    }
    calls++;
    try {
      const { cropSize } = await models.load(request.model);
      const { pixels, count } = await modelImages(request, cropSize, decoder, signal);
      signal.throwIfAborted();
      const kind = featureKindFromWire(request.featureKind);
      const vectors = await models.embed({
        model: request.model,
        pixels,
        count,
        height: cropSize,
        width: cropSize,
        kind,
      });
      return { vectors: bytesOf(vectors), count, dimension: vectors.length / count, model: request.model };
    } finally {
      calls--;
    }
  };

  return {
    embed: (request, { signal }) => embed(request, signal),

    async *embedStream(requests, { signal }) {
      for await (const { request } of requests) {
        if (draining.aborted) throw new KindredError('UNAVAILABLE', 'the service is ending; send the rest elsewhere');
        if (request === undefined) throw invalidField('request', 'got nothing; needed: images to embed');
        yield { response: await embed(request, signal) };
      }
    },

    startEmbedDataset: async (request) => ({ job: jobToWire(await jobs.start(request)) }),

    getEmbedDataset: async ({ jobId }) => ({ job: jobToWire(jobs.get(jobId)) }),

    async *watchEmbedDataset({ jobId }, { signal }) {
      for await (const job of jobs.watch(jobId, AbortSignal.any([signal, draining]))) yield { job: jobToWire(job) };
    },

    cancelEmbedDataset: async ({ jobId }) => ({ job: jobToWire(jobs.cancel(jobId)) }),

    listModels: async () => ({ models: (await models.list()).map(modelToWire) }),

    loadModel: async ({ model }) => ({ model: modelToWire(await models.load(model)) }),

    async unloadModel({ model }) {
      await models.unload(model);
      return {};
    },
  };
}
