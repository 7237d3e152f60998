// A trained network made for serving: one graph without variables, BatchNorms folded, batch sizes known beforehand and warm.
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
import { foldBatchNorm } from './fold-batch-norm.js';
import { createInferenceOperations } from './inference-operations.js';
import { loadTensorFlow } from './runtime.js';
import type { Embeddings } from './embedding-function.js';
import type { FrozenValues, ProgramDefinition } from './program-definition.js';
import type { TensorFlowOptions, TensorFlowRuntime } from './runtime.js';

/** What a frozen encoder is made from. */
export interface FrozenEncoderOptions {
  readonly architecture: Architecture;
  readonly parameters: StateDict;
  readonly normalisation: Normalisation;
  /** Height and width of every image in pixels. */
  readonly side: number;
  /** Batch sizes that are run once before this returns, so that the first request of a size costs no more than the next. */
  readonly batchSizes: readonly number[];
  /** False: the caller runs each size once itself, with other work between them. @default true */
  readonly warmUp?: boolean;
  /** How TensorFlow is started, where this is the first use in the process. */
  readonly tensorFlow?: TensorFlowOptions;
}

/** A loaded network for images of one size. Calls are synchronous: give it a thread of its own. */
export interface FrozenEncoder {
  readonly device: 'cpu' | 'gpu';
  /**
   * Embeds a batch, uint8 `[batch, side, side, 3]`, of one of the sizes; rows from `count` on are fillers and are left out.
   * Vectors equal those of `createEncoder` up to rounding.
   */
  embed(images: Uint8Array, batch: number, count: number): Embeddings;
  /** Gives native memory back; the encoder can't be used afterwards. */
  dispose(): void;
}

/**
 * Compiles and warms the network.
 *
 * @throws KindredError INVALID_ARGUMENT for parameters that don't fit, FAILED_PRECONDITION without the native addon.
 */
export function createFrozenEncoder(options: FrozenEncoderOptions): FrozenEncoder {
  const { architecture, parameters, normalisation, side, batchSizes } = options;
  checkStateDict(architecture, parameters);
  checkNormalisation(normalisation);
  checkImageSize(architecture, side, side);
  const runtime = loadTensorFlow(options.tensorFlow);
  const program = compile(runtime, frozenEncoderProgram(options, runtime));
  const run = (images: Uint8Array, batch: number): Embeddings =>
    toEmbeddings(program.functions['embed']?.({ images }, { images: [batch, side, side, 3] }) ?? {}, batch);
  if (options.warmUp !== false) for (const size of batchSizes) run(new Uint8Array(size * side * side * 3), size);

  return {
    device: runtime.device,
    embed(images, batch, count) {
      if (!batchSizes.includes(batch) || !Number.isInteger(count) || count < 1 || count > batch) {
        throw invalidField('batch', `got ${count} images in a batch of ${batch}; allowed: ${batchSizes.join(', ')}`);
      }
      const { backbone, embedding } = run(images, batch);
      return {
        count,
        backbone: backbone.subarray(0, (backbone.length / batch) * count),
        embedding: embedding.subarray(0, (embedding.length / batch) * count),
      };
    },
    dispose: () => program.dispose(),
  };
}

/** The network with its BatchNorms folded into its convolutions as a program: function `embed` over constants. */
export function frozenEncoderProgram(
  { architecture, parameters, normalisation, side }: FrozenEncoderOptions,
  runtime: TensorFlowRuntime,
): ProgramDefinition {
  const folded = foldBatchNorm(architecture, parameters);
  const specification = modelSpecification(architecture).filter(({ kind }) => kind !== 'batch-count');
  const operations = createInferenceOperations(runtime, { wide: takesWideTiles(architecture) });
  const frozen = specification.map(({ name, shape, kind }): [string, FrozenValues] => [
    name,
    { shape: tensorFlowShape(shape, kind), values: toTensorFlowLayout(folded[name] as Float32Array, shape, kind) },
  ]);
  const embed = embeddingFunction(architecture, normalisation, operations, runtime.backend, [-1, side, side, 3]);
  return { state: {}, frozen: Object.fromEntries(frozen), functions: { embed } };
}

/**
 * Whether the network's convolutions go by tiles of 4×4 outputs. The forms for large images, where nearly all of a call's time is
 * in them; the CIFAR form keeps the smaller rounding errors of 2×2.
 */
function takesWideTiles({ form }: Architecture): boolean {
  return form !== 'cifar';
}
