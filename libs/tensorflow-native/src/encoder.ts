// A trained network as a function from images to embeddings.
import { invalidField } from '@kindred/errors';
import {
  checkImageSize,
  checkNormalisation,
  checkStateDict,
  modelSpecification,
  tensorFlowShape,
  toTensorFlowLayout,
} from '@kindred/simclr';
import type { Architecture, Normalisation, StateDict } from '@kindred/simclr';
import { compile } from './compile.js';
import { embeddingFunction, toEmbeddings } from './embedding-function.js';
import { createNativeOperations } from './operations.js';
import { loadTensorFlow } from './runtime.js';
import type { Embeddings } from './embedding-function.js';
import type { ProgramDefinition } from './program-definition.js';
import type { TensorFlowOptions, TensorFlowRuntime } from './runtime.js';

/** What an encoder is made from. */
export interface EncoderOptions {
  readonly architecture: Architecture;
  readonly parameters: StateDict;
  readonly normalisation: Normalisation;
  /** Most images that one native call takes; larger requests are cut. @default 256 */
  readonly maxBatchImages?: number;
  /** How TensorFlow is started, where this is the first use in the process. */
  readonly tensorFlow?: TensorFlowOptions;
}

/** A loaded network. Calls are synchronous: give it a process or a thread of its own. */
export interface Encoder {
  readonly device: 'cpu' | 'gpu';
  readonly backboneDim: number;
  readonly featureDim: number;
  /** Embeds `count` images, uint8 `[count, height, width, 3]`; 0 images give empty arrays. */
  embed(images: Uint8Array, count: number, height: number, width: number): Embeddings;
  /** Gives native memory back; the encoder can't be used afterwards. */
  dispose(): void;
}

// Above this a batch gains nothing on a CPU and its feature maps leave the caches.
const defaultMaxBatchImages = 256;
const stlSide = 96;

/**
 * Compiles the network in eval mode, for any number of images (and in the CIFAR form any size of image) a call.
 *
 * @throws KindredError INVALID_ARGUMENT for parameters that don't fit, FAILED_PRECONDITION without the native addon.
 */
export function createEncoder(options: EncoderOptions): Encoder {
  const { architecture, parameters, normalisation, maxBatchImages = defaultMaxBatchImages } = options;
  checkStateDict(architecture, parameters);
  checkNormalisation(normalisation);
  if (!Number.isInteger(maxBatchImages) || maxBatchImages < 1) {
    throw invalidField('maxBatchImages', `got ${maxBatchImages}; allowed: a whole number above 0`);
  }
  const runtime = loadTensorFlow(options.tensorFlow);
  const specification = modelSpecification(architecture).filter(({ kind }) => kind !== 'batch-count');
  const program = compile(runtime, encoderProgram(architecture, normalisation, runtime));
  program.setState(
    Object.fromEntries(
      specification.map(({ name, shape, kind }) => [
        name,
        toTensorFlowLayout(parameters[name] as Float32Array, shape, kind),
      ]),
    ),
  );
  const dims = { backbone: architecture.width * 8, embedding: architecture.featureDim };

  return {
    device: runtime.device,
    backboneDim: dims.backbone,
    featureDim: dims.embedding,
    embed(images, count, height, width) {
      checkImageSize(architecture, height, width);
      const pixels = height * width * 3;
      if (!Number.isInteger(count) || count < 0 || images.length !== count * pixels) {
        throw invalidField(
          'images',
          `got ${images.length} bytes for ${count} images of ${height}×${width}; allowed: ${count * pixels}`,
        );
      }
      const result = {
        count,
        backbone: new Float32Array(count * dims.backbone),
        embedding: new Float32Array(count * dims.embedding),
      };
      for (let start = 0; start < count; start += maxBatchImages) {
        const size = Math.min(maxBatchImages, count - start);
        const batch = images.subarray(start * pixels, (start + size) * pixels);
        const part = toEmbeddings(
          program.functions['embed']?.({ images: batch }, { images: [size, height, width, 3] }) ?? {},
          size,
        );
        result.backbone.set(part.backbone, start * dims.backbone);
        result.embedding.set(part.embedding, start * dims.embedding);
      }
      return result;
    },
    dispose: () => program.dispose(),
  };
}

/** The network in eval mode as a program: function `embed` over the parameters and running statistics. */
export function encoderProgram(
  architecture: Architecture,
  normalisation: Normalisation,
  runtime: TensorFlowRuntime,
): ProgramDefinition {
  const side = architecture.form === 'stl' ? stlSide : -1;
  const specification = modelSpecification(architecture).filter(({ kind }) => kind !== 'batch-count');
  const operations = createNativeOperations(runtime);
  return {
    state: Object.fromEntries(specification.map(({ name, shape, kind }) => [name, tensorFlowShape(shape, kind)])),
    functions: {
      embed: embeddingFunction(architecture, normalisation, operations, runtime.backend, [-1, side, side, 3]),
    },
  };
}
