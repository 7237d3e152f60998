// Images in, features and embeddings out, in eval mode: the function that trainers and encoders compile.
import type * as tf from '@tensorflow/tfjs-core';
import { forward, normalisePixels } from '@kindred/simclr';
import type { Architecture, NetworkOperations, Normalisation } from '@kindred/simclr';
import { castPixels } from './operations.js';
import type { OutputValue } from './compile.js';
import type { FunctionDefinition } from './program-definition.js';
import type { NativeBackend } from './native.js';

/** What a network makes of images, row by row. */
export interface Embeddings {
  /** Number of images. */
  readonly count: number;
  /** The backbone's features, `[count, 8·width]`. */
  readonly backbone: Float32Array;
  /** The L2-normalised embeddings, `[count, featureDim]`. */
  readonly embedding: Float32Array;
}

/** The function over input `images`, uint8 of `shape` (-1 where free), with outputs `backbone` and `embedding`. */
export function embeddingFunction(
  architecture: Architecture,
  normalisation: Normalisation,
  operations: NetworkOperations,
  backend: NativeBackend,
  shape: readonly number[],
): FunctionDefinition {
  return {
    inputs: { images: { dtype: 'uint8', shape } },
    call: (state, inputs) => {
      const x = normalisePixels(castPixels(backend, inputs['images'] as tf.Tensor), normalisation);
      const { backbone, embedding } = forward(architecture, state, x, { training: false, operations });
      return { outputs: { backbone, embedding } };
    },
  };
}

/** The function's outputs as {@link Embeddings}. */
export function toEmbeddings(outputs: Readonly<Record<string, OutputValue>>, count: number): Embeddings {
  return {
    count,
    backbone: outputs['backbone']?.values as Float32Array,
    embedding: outputs['embedding']?.values as Float32Array,
  };
}
