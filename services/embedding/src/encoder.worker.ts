// The thread that owns TensorFlow: several models in it, one call at a time.
import { KindredError, isKindredError } from '@kindred/errors';
import { decodeModelFile } from '@kindred/simclr';
import { createEncoder, type Encoder } from '@kindred/tensorflow-native';
import { workerTask } from '@kindred/workers';

/** Which vector of the network. */
export type FeatureKind = 'embedding' | 'backbone';

/** A model to load. */
export interface LoadRequest {
  readonly model: string;
  /** Its file. */
  readonly file: Uint8Array;
  /** Threads that one operation may use. */
  readonly threads: number;
}

/** Images to embed. */
export interface EmbedRequest {
  readonly model: string;
  /** uint8 [count, height, width, 3]. */
  readonly pixels: Uint8Array;
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly kind: FeatureKind;
}

const encoders = new Map<string, Encoder>();

/** Loads a model; one of the same name is replaced. DATA_LOSS when its file is damaged or no model. */
export const load = workerTask(({ model, file, threads }: LoadRequest): void => {
  encoders.get(model)?.dispose();
  encoders.delete(model);
  try {
    const { architecture, parameters, normalisation } = decodeModelFile(file);
    encoders.set(
      model,
      createEncoder({ architecture, parameters, normalisation, tensorFlow: { intraOpThreads: threads } }),
    );
  } catch (thrown) {
    throw damagedModel(thrown, model);
  }
});

/** Embeds images: float32 [count, dimension]. FAILED_PRECONDITION when the model is not loaded. */
export const embed = workerTask(
  ({ model, pixels, count, height, width, kind }: EmbedRequest): Float32Array => {
    const encoder = encoders.get(model);
    if (encoder === undefined)
      throw new KindredError('FAILED_PRECONDITION', `model '${model}' is not loaded; load it first`);
    return encoder.embed(pixels, count, height, width)[kind];
  },
  (vectors) => [vectors.buffer as ArrayBuffer],
);

/** Frees a model; none of that name is no error. */
export const unload = workerTask((model: string): void => {
  encoders.get(model)?.dispose();
  encoders.delete(model);
});

/** A file that does not fit its own header is damage of the store, not a mistake of the caller. */
function damagedModel(thrown: unknown, model: string): unknown {
  if (!isKindredError(thrown, 'INVALID_ARGUMENT') && !isKindredError(thrown, 'DATA_LOSS')) return thrown;
  return new KindredError('DATA_LOSS', `model '${model}' cannot be used: ${thrown.message}`, {
    resource: { type: 'model', name: model },
    cause: thrown,
  });
}
