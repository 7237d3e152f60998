// The RPCs of EmbeddingService: requests to domain calls, results to responses.
import { KindredError, invalidField } from '@kindred/errors';
import type {
  EmbedRequest,
  EmbedResponse,
  EmbedStreamRequest,
  EmbeddingServiceImplementation,
} from '@kindred/protocol/embedding';
import { answerInOrder } from '@kindred/service-runtime';
import type { DatasetJobs } from './dataset-jobs.js';
import type { EmbedImages } from './embed-images.js';
import type { ServiceInfo } from './service-info.js';
import type { ServedModels } from './models/served-models.js';
import {
  featureKindFromWire,
  imageBatchFromWire,
  infoToWire,
  jobToWire,
  modelToWire,
  embedResultToWire,
} from './wire.js';

/** What the handlers work with. */
export interface HandlerParts {
  readonly models: ServedModels;
  readonly jobs: DatasetJobs;
  readonly embedImages: EmbedImages;
  readonly info: ServiceInfo;
  /** Aborted when the service begins to end: streams end. */
  readonly draining: AbortSignal;
}

/** Makes the handlers. */
export function createHandlers(parts: HandlerParts): EmbeddingServiceImplementation {
  const { models, jobs, embedImages, info, draining } = parts;

  const embed = async (request: EmbedRequest, caller: object, signal: AbortSignal): Promise<EmbedResponse> => {
    const result = await embedImages({
      model: request.model,
      images: imageBatchFromWire(request),
      kind: featureKindFromWire(request.featureKind),
      allOrNothing: request.allOrNothing,
      caller,
      signal,
    });
    return embedResultToWire(result);
  };

  return {
    embed: (request, { signal }) => embed(request, {}, signal),

    async *embedStream(requests, { signal }) {
      // A stream is one caller: its requests take one turn in the queue together.
      const caller = {};
      const ended = new AbortController();
      const either = AbortSignal.any([signal, ended.signal]);
      try {
        const answer = async ({ request }: EmbedStreamRequest) => {
          if (request === undefined) throw invalidField('request', 'got nothing; needed: images to embed');
          return { response: await embed(request, caller, either) };
        };
        yield* answerInOrder(requests, info.maxStreamRequests, answer, draining);
        if (draining.aborted) throw new KindredError('UNAVAILABLE', 'the service is ending; send the rest elsewhere');
      } finally {
        ended.abort();
      }
    },

    getInfo: async () => infoToWire(info, await models.loaded(), models.device()),

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
