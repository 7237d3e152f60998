// The RPCs of EmbeddingService: requests to domain calls, results to responses.
import { setMaxListeners } from 'node:events';
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
  modelFromWire,
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

  const embed = async (
    request: EmbedRequest,
    caller: object,
    signal: AbortSignal,
    patient = false,
  ): Promise<EmbedResponse> => {
    const result = await embedImages({
      model: modelFromWire(request.model, 'model'),
      images: imageBatchFromWire(request),
      kinds: [featureKindFromWire(request.featureKind)],
      allOrNothing: request.allOrNothing,
      caller,
      patient,
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
      // Each request at work listens, twice; Node would warn of the eleventh listener.
      setMaxListeners(0, either);
      try {
        const answer = async ({ request }: EmbedStreamRequest) => {
          if (request === undefined) throw invalidField('request', 'got nothing; needed: images to embed');
          // A stream is not read beyond its window: it waits for room, where a refusal would end all of it, and be its own doing.
          return { response: await embed(request, caller, either, true) };
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

    loadModel: async ({ model }) => ({ model: modelToWire(await models.load(modelFromWire(model, 'model'))) }),

    async unloadModel({ model }) {
      await models.unload(modelFromWire(model, 'model'));
      return {};
    },
  };
}
