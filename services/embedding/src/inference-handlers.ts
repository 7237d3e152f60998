// The RPCs of the Open Inference Protocol v2 over the same engine as our own door.
import { invalidField } from '@kindred/errors';
import type { GRPCInferenceServiceImplementation } from '@kindred/protocol/inference';
import type { EmbedImages } from './embed-images.js';
import {
  featureKindsFrom,
  imageBatchFromTensors,
  inferResponse,
  modelMetadata,
  referenceFrom,
} from './inference-wire.js';
import type { ServedModels } from './models/served-models.js';

/** What the handlers work with. */
export interface InferenceHandlerParts {
  readonly models: ServedModels;
  readonly embedImages: EmbedImages;
  /** Whether the service takes requests. */
  readonly ready: () => boolean;
}

/** The server's name and version, as ServerMetadata tells them. */
const server = { name: 'kindred-embedding', version: '0.1.0', extensions: ['model_repository', 'binary_tensor_data'] };

/** Makes the handlers. */
export function createInferenceHandlers(parts: InferenceHandlerParts): GRPCInferenceServiceImplementation {
  const { models, embedImages, ready } = parts;
  return {
    serverLive: async () => ({ live: true }),
    serverReady: async () => ({ ready: ready() }),
    modelReady: async ({ name, version }) => ({ ready: await models.ready(referenceFrom(name, version)) }),
    serverMetadata: async () => server,
    modelMetadata: async ({ name, version }) => modelMetadata(await models.describe(referenceFrom(name, version))),

    async modelInfer(request, { signal }) {
      if (request.rawInputContents.length > 1) {
        const got = `got ${request.rawInputContents.length} values for 1 input; allowed: one each`;
        throw invalidField('raw_input_contents', got);
      }
      const result = await embedImages({
        model: referenceFrom(request.modelName, request.modelVersion, 'model_name'),
        images: imageBatchFromTensors(request),
        kinds: [...new Set(featureKindsFrom(request))],
        allOrNothing: true,
        caller: {},
        signal,
      });
      return inferResponse(request.id, result);
    },

    async repositoryIndex({ ready: readyOnly }) {
      const known = await models.list();
      return {
        models: known
          .flatMap(({ name, version, loadedVersions, loadError }) => [
            ...loadedVersions.map((loaded) => ({ name, version: loaded, state: 'READY', reason: '' })),
            ...(loadedVersions.includes(version) ? [] : [{ name, version, state: 'UNAVAILABLE', reason: loadError }]),
          ])
          .filter(({ state }) => !readyOnly || state === 'READY'),
      };
    },

    async repositoryModelLoad({ modelName }) {
      await models.load(referenceFrom(modelName, '', 'model_name'));
      return {};
    },

    async repositoryModelUnload({ modelName }) {
      // As Triton does: a name alone is all of it.
      const reference = referenceFrom(modelName, '', 'model_name');
      if (reference.includes('@')) await models.unload(reference);
      else await models.unloadAll(reference);
      return {};
    },
  };
}
