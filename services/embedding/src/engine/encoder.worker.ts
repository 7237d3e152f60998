// A thread that runs networks: several models in it, one batch at a time.
import { KindredError, isKindredError } from '@kindred/errors';
import { decodeModelFile } from '@kindred/simclr';
import { createFrozenEncoder, type FrozenEncoder } from '@kindred/tensorflow-native';
import { workerTask } from '@kindred/workers';
import type { EmbeddedBatch } from './batch-queue.js';

/** A model to load. */
export interface LoadRequest {
  /** What it is called from now on; used once. */
  readonly handle: string;
  /** Its file. */
  readonly file: Uint8Array;
  /** Batch sizes that it will be asked for. */
  readonly batchSizes: readonly number[];
  /** Threads that one operation may use. */
  readonly threads: number;
  /** Threads like this one, whose operations run side by side. */
  readonly instances: number;
}

/** Images to embed. */
export interface EmbedRequest {
  readonly handle: string;
  /** uint8 [batch, side, side, 3]. */
  readonly pixels: Uint8Array;
  /** One of the model's batch sizes. */
  readonly batch: number;
  /** Images among them that are real: the first ones. */
  readonly count: number;
}

const encoders = new Map<string, FrozenEncoder>();

/** What a loaded model is. */
export interface LoadedEncoder {
  readonly device: 'cpu' | 'gpu';
  /** Height and width in pixels of what it takes. */
  readonly side: number;
}

/** Loads a model; its batch sizes are not warm yet. DATA_LOSS when its file is damaged or no model. */
export const load = workerTask(({ handle, file, batchSizes, threads, instances }: LoadRequest): LoadedEncoder => {
  try {
    const { architecture, parameters, normalisation, cropSize } = decodeModelFile(file);
    const tensorFlow = { intraOpThreads: threads, interOpThreads: instances };
    const encoder = createFrozenEncoder({
      ...{ architecture, parameters, normalisation, side: cropSize, batchSizes, tensorFlow },
      warmUp: false,
    });
    encoders.set(handle, encoder);
    return { device: encoder.device, side: cropSize };
  } catch (thrown) {
    throw damagedModel(thrown);
  }
});

/** Embeds images: float32 [count, dimension] each. FAILED_PRECONDITION when the model is not loaded. */
export const embed = workerTask(
  ({ handle, pixels, batch, count }: EmbedRequest): EmbeddedBatch => {
    const encoder = encoders.get(handle);
    if (encoder === undefined)
      throw new KindredError('FAILED_PRECONDITION', `model ${handle} is not loaded in this thread`);
    const { backbone, embedding } = encoder.embed(pixels, batch, count);
    return { backbone, embedding };
  },
  ({ backbone, embedding }) => [backbone.buffer as ArrayBuffer, embedding.buffer as ArrayBuffer],
);

/** Frees a model; none of that name is no error. */
export const unload = workerTask((handle: string): void => {
  encoders.get(handle)?.dispose();
  encoders.delete(handle);
});

/** A file that does not fit its own header is damage of the store, not a mistake of the caller. */
function damagedModel(thrown: unknown): unknown {
  if (!isKindredError(thrown, 'INVALID_ARGUMENT') && !isKindredError(thrown, 'DATA_LOSS')) return thrown;
  return new KindredError('DATA_LOSS', `the model's file cannot be used: ${thrown.message}`, { cause: thrown });
}
