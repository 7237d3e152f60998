// A SimCLR training run's moving part: one compiled step over live variables, evaluation with the same variables.
import { invalidField } from '@kindred/errors';
import {
  checkImageSize,
  checkNormalisation,
  checkStateDict,
  initialMomentum,
  modelSpecification,
  parameterSize,
  resolveOptimizer,
  toPyTorchLayout,
  toTensorFlowLayout,
} from '@kindred/simclr';
import type { Architecture, Normalisation, OptimizerOptions, ParameterSpecification, StateDict } from '@kindred/simclr';
import type { Neighbours } from '@kindred/memory-bank';
import { compile } from './compile.js';
import { createNeighbourSearch } from './neighbour-search.js';
import { toEmbeddings } from './embedding-function.js';
import { loadTensorFlow } from './runtime.js';
import { accumulatedStep, gradientPrefix, momentumPrefix, trainingProgram } from './training-program.js';
import type { Embeddings } from './embedding-function.js';
import type { Precision } from './mixed-precision.js';
import type { NeighbourQuery } from './neighbour-search.js';
import type { TensorFlowOptions } from './runtime.js';

/** What a trainer is made from. */
export interface TrainerOptions {
  readonly architecture: Architecture;
  /** First values, or a checkpoint's. */
  readonly parameters: StateDict;
  /** A checkpoint's momentum buffers. @default zeros, as before the first step */
  readonly momentum?: StateDict;
  readonly optimizer: OptimizerOptions;
  /** The loss's temperature; 0.1 in SCAN's pretext configurations. */
  readonly temperature: number;
  readonly normalisation: Normalisation;
  /** Image pairs of a step, at least 2. */
  readonly batchSize: number;
  /**
   * Parts that a step's batch is taken through the network in, to need less memory; must divide `batchSize`, at least 2 pairs
   * each. The gradient is the whole batch's but for BatchNorm, whose statistics are each part's. @default 1
   */
  readonly accumulateSteps?: number;
  readonly imageSize: { readonly height: number; readonly width: number };
  /** What the network computes in while training; evaluation stays float32. @default 'float32' */
  readonly precision?: Precision;
  /**
   * What gradients are multiplied by on their way through the network, and divided by before the update; with `float16` only,
   * best a power of 2. One that is too large makes the next loss NaN. @default 1024 with `float16`, else 1
   */
  readonly lossScale?: number | undefined;
  /**
   * Whether a step can be handed the next step's views, to be copied to the device while it computes; with `accumulateSteps` 1 only.
   * @default on a GPU without XLA, which would compile the step once more for it; on a CPU it is one copy more
   */
  readonly prefetch?: boolean;
  /** How TensorFlow is started, where this is the first use in the process. */
  readonly tensorFlow?: TensorFlowOptions;
}

/** Everything that a continued run needs, in PyTorch's layout; exact copies. */
export interface TrainerState {
  readonly parameters: StateDict;
  readonly momentum: StateDict;
}

/** A training run. All calls are synchronous and keep the thread busy: give it a process of its own. */
export interface Trainer {
  /** What the operations run on. */
  readonly device: 'cpu' | 'gpu';
  /**
   * One step of the optimizer.
   *
   * @param views uint8 `[batchSize, 2, height, width, 3]`: both views of image 0, then of image 1, …
   * @param next the views of the step after this one, where it {@link Trainer.prefetches}: that step must be given the same array.
   * @returns the loss before the update.
   */
  step(views: Uint8Array, learningRate: number, next?: Uint8Array | null): number;
  /** Whether `step` makes use of `next`. */
  readonly prefetches: boolean;
  /** Embeds `count` images, uint8 `[count, height, width, 3]`, in eval mode with the variables as they are now. */
  evaluate(images: Uint8Array, count: number): Embeddings;
  /** Finds the nearest rows of a memory bank. */
  findNeighbours(query: NeighbourQuery): Neighbours;
  /** Exact copies of all that the run consists of. */
  state(): TrainerState;
  /** Gives native memory back; the trainer can't be used afterwards. */
  dispose(): void;
}

/**
 * Builds the step's graph and puts the parameters into it. From the same state and batches, two
 * trainers with the same thread counts give bit-identical results on a CPU.
 *
 * @throws KindredError INVALID_ARGUMENT for options that don't fit together, FAILED_PRECONDITION without the native addon.
 */
export function createTrainer(options: TrainerOptions): Trainer {
  const { architecture, batchSize, imageSize, accumulateSteps = 1 } = options;
  checkOptions(options);
  const runtime = loadTensorFlow(options.tensorFlow);
  const specification = modelSpecification(architecture);
  const prefetches =
    (options.prefetch ?? (runtime.device === 'gpu' && options.tensorFlow?.xla !== true)) && accumulateSteps === 1;
  const program = compile(runtime, trainingProgram({ ...options, prefetch: prefetches }, runtime));
  program.setState(toProgramState(options, specification));
  const search = createNeighbourSearch();
  const firstCounts = batchCounts(specification, options.parameters);
  const pixels = imageSize.height * imageSize.width * 3;
  let steps = 0;
  let staged: Uint8Array | null = null;
  const wholeStep = (views: Uint8Array, learningRate: number, next: Uint8Array | null): number | undefined => {
    const inputs = { ...(staged === null ? { views } : {}), rate: Float32Array.of(learningRate) };
    const ahead = prefetches ? next : null;
    const outputs = program.functions['step']?.(inputs, {}, ahead ?? undefined);
    staged = ahead;
    return outputs?.['loss']?.values[0];
  };

  return {
    device: runtime.device,
    prefetches,
    step(views, learningRate, next = null) {
      if (staged !== null && staged !== views) {
        throw invalidField(
          'views',
          'got other views than those that the step before was given as next; allowed: the same array',
        );
      }
      if (views.length !== 2 * batchSize * pixels) {
        throw invalidField(
          'views',
          `got ${views.length} bytes; allowed: ${2 * batchSize * pixels}, for ${batchSize} pairs of ${imageSize.height}×${imageSize.width} images`,
        );
      }
      if (!Number.isFinite(learningRate) || learningRate < 0) {
        throw invalidField('learningRate', `got ${learningRate}; allowed: 0 or more`);
      }
      const loss =
        accumulateSteps === 1
          ? wholeStep(views, learningRate, next)
          : accumulatedStep(program, views, learningRate, accumulateSteps);
      steps++;
      return loss ?? Number.NaN;
    },
    evaluate(images, count) {
      if (images.length !== count * pixels)
        throw invalidField('images', `got ${images.length} bytes; allowed: ${count * pixels} for ${count} images`);
      const shape = [count, imageSize.height, imageSize.width, 3];
      return toEmbeddings(program.functions['embed']?.({ images }, { images: shape }) ?? {}, count);
    },
    // Each part of a step moves BatchNorm's statistics once.
    state: () => fromProgramState(program.getState(), specification, firstCounts, steps * accumulateSteps),
    findNeighbours: search.find,
    dispose() {
      search.dispose();
      program.dispose();
    },
  };
}

function checkOptions({
  architecture,
  parameters,
  momentum,
  optimizer,
  temperature,
  normalisation,
  batchSize,
  accumulateSteps = 1,
  imageSize,
  precision = 'float32',
  lossScale,
}: TrainerOptions): void {
  checkStateDict(architecture, parameters);
  checkImageSize(architecture, imageSize.height, imageSize.width);
  checkNormalisation(normalisation);
  resolveOptimizer(optimizer);
  if (!(temperature > 0)) throw invalidField('temperature', `got ${temperature}; allowed: above 0`);
  if (!Number.isInteger(batchSize) || batchSize < 2)
    throw invalidField('batchSize', `got ${batchSize}; allowed: a whole number from 2`);
  if (lossScale !== undefined && !(precision === 'float16' && lossScale > 0 && lossScale < Infinity)) {
    throw invalidField(
      'lossScale',
      `got ${lossScale} with precision '${precision}'; allowed: with 'float16' only, above 0`,
    );
  }
  const part = batchSize / accumulateSteps;
  if (!Number.isInteger(accumulateSteps) || accumulateSteps < 1 || !Number.isInteger(part) || part < 2) {
    throw invalidField(
      'accumulateSteps',
      `got ${accumulateSteps}; allowed: a divisor of the batch size ${batchSize} that leaves parts of at least 2 pairs`,
    );
  }
  if (momentum === undefined) return;
  for (const { name, shape, trainable } of modelSpecification(architecture)) {
    if (trainable && momentum[name]?.length !== parameterSize(shape)) {
      throw invalidField(
        `momentum.${name}`,
        `got ${momentum[name]?.length ?? 'nothing'}; allowed: ${parameterSize(shape)} values`,
      );
    }
  }
}

function toProgramState(
  { architecture, parameters, momentum, accumulateSteps = 1 }: TrainerOptions,
  specification: readonly ParameterSpecification[],
): Record<string, Float32Array> {
  const buffers = momentum ?? initialMomentum(architecture);
  const result: Record<string, Float32Array> = {};
  for (const { name, shape, kind, trainable } of specification) {
    if (kind === 'batch-count') continue;
    result[name] = toTensorFlowLayout(parameters[name] as Float32Array, shape, kind);
    if (!trainable) continue;
    result[`${momentumPrefix}${name}`] = toTensorFlowLayout(buffers[name] as Float32Array, shape, kind);
    if (accumulateSteps > 1) result[`${gradientPrefix}${name}`] = new Float32Array(parameterSize(shape));
  }
  return result;
}

function fromProgramState(
  values: Readonly<Record<string, Float32Array>>,
  specification: readonly ParameterSpecification[],
  firstCounts: Readonly<Record<string, number>>,
  steps: number,
): TrainerState {
  const parameters: Record<string, Float32Array> = {};
  const momentum: Record<string, Float32Array> = {};
  for (const { name, shape, kind, trainable } of specification) {
    if (kind === 'batch-count') {
      parameters[name] = Float32Array.of((firstCounts[name] ?? 0) + steps);
      continue;
    }
    parameters[name] = toPyTorchLayout(values[name] as Float32Array, shape, kind);
    if (trainable) momentum[name] = toPyTorchLayout(values[`${momentumPrefix}${name}`] as Float32Array, shape, kind);
  }
  return { parameters, momentum };
}

/** The batch counters of BatchNorm layers: each step adds one to all, so they need no place in the graph. */
function batchCounts(specification: readonly ParameterSpecification[], parameters: StateDict): Record<string, number> {
  const counters = specification.filter(({ kind }) => kind === 'batch-count');
  return Object.fromEntries(counters.map(({ name }) => [name, parameters[name]?.[0] ?? 0]));
}
