// A SimCLR training run's moving part: one compiled step over live variables, evaluation with the same variables.
import * as tf from '@tensorflow/tfjs-core';
import { invalidField } from '@kindred/errors';
import {
  checkImageSize,
  checkNormalisation,
  checkStateDict,
  forward,
  initialMomentum,
  modelSpecification,
  momentumGradient,
  normalisePixels,
  parameterSize,
  resolveOptimizer,
  simclrLoss,
  tensorFlowShape,
  toPyTorchLayout,
  toTensorFlowLayout,
} from '@kindred/simclr';
import type {
  Architecture,
  NetworkOperations,
  Normalisation,
  OptimizerOptions,
  ParameterSpecification,
  StateDict,
} from '@kindred/simclr';
import { compile } from './compile.js';
import { embeddingFunction, toEmbeddings } from './embedding-function.js';
import { castPixels, createNativeOperations } from './operations.js';
import { loadTensorFlow } from './runtime.js';
import type { FunctionDefinition, FunctionResult, ProgramDefinition } from './program-definition.js';
import type { Embeddings } from './embedding-function.js';
import type { NativeBackend } from './native.js';
import type { TensorFlowOptions, TensorFlowRuntime } from './runtime.js';

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
  readonly imageSize: { readonly height: number; readonly width: number };
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
   * @returns the loss before the update.
   */
  step(views: Uint8Array, learningRate: number): number;
  /** Embeds `count` images, uint8 `[count, height, width, 3]`, in eval mode with the variables as they are now. */
  evaluate(images: Uint8Array, count: number): Embeddings;
  /** Exact copies of all that the run consists of. */
  state(): TrainerState;
  /** Gives native memory back; the trainer can't be used afterwards. */
  dispose(): void;
}

const momentumPrefix = 'momentum/';

/**
 * Builds the step's graph (one eager step's time) and puts the parameters into it. From the same state and batches, two
 * trainers with the same thread counts give bit-identical results on a CPU.
 *
 * @throws KindredError INVALID_ARGUMENT for options that don't fit together, FAILED_PRECONDITION without the native addon.
 */
export function createTrainer(options: TrainerOptions): Trainer {
  const { architecture, batchSize, imageSize } = options;
  checkOptions(options);
  const runtime = loadTensorFlow(options.tensorFlow);
  const specification = modelSpecification(architecture);
  const program = compile(runtime, trainingProgram(options, runtime));
  program.setState(toProgramState(options, specification));
  const firstCounts = batchCounts(specification, options.parameters);
  const pixels = imageSize.height * imageSize.width * 3;
  let steps = 0;

  return {
    device: runtime.device,
    step(views, learningRate) {
      if (views.length !== 2 * batchSize * pixels) {
        throw invalidField(
          'views',
          `got ${views.length} bytes; allowed: ${2 * batchSize * pixels}, for ${batchSize} pairs of ${imageSize.height}×${imageSize.width} images`,
        );
      }
      if (!Number.isFinite(learningRate) || learningRate < 0) {
        throw invalidField('learningRate', `got ${learningRate}; allowed: 0 or more`);
      }
      const result = program.functions['step']?.({ views, rate: Float32Array.of(learningRate) });
      steps++;
      return result?.['loss']?.values[0] ?? Number.NaN;
    },
    evaluate(images, count) {
      if (images.length !== count * pixels)
        throw invalidField('images', `got ${images.length} bytes; allowed: ${count * pixels} for ${count} images`);
      const shape = [count, imageSize.height, imageSize.width, 3];
      return toEmbeddings(program.functions['embed']?.({ images }, { images: shape }) ?? {}, count);
    },
    state: () => fromProgramState(program.getState(), specification, firstCounts, steps),
    dispose: () => program.dispose(),
  };
}

/** The program of a trainer: functions `step` and `embed` over parameters, statistics and momentum buffers. */
export function trainingProgram(options: TrainerOptions, runtime: TensorFlowRuntime): ProgramDefinition {
  const { architecture, imageSize, normalisation } = options;
  const operations = createNativeOperations(runtime);
  const { backend } = runtime;
  const specification = modelSpecification(architecture).filter(({ kind }) => kind !== 'batch-count');
  const shapes = specification.flatMap(({ name, shape, kind, trainable }): [string, number[]][] => {
    const size = tensorFlowShape(shape, kind);
    return trainable
      ? [
          [name, size],
          [`${momentumPrefix}${name}`, size],
        ]
      : [[name, size]];
  });
  return {
    state: Object.fromEntries(shapes),
    functions: {
      step: stepFunction(options, operations, backend, specification),
      embed: embeddingFunction(architecture, normalisation, operations, backend, [
        -1,
        imageSize.height,
        imageSize.width,
        3,
      ]),
    },
  };
}

function stepFunction(
  { architecture, batchSize, imageSize, normalisation, temperature, optimizer }: TrainerOptions,
  operations: NetworkOperations,
  backend: NativeBackend,
  specification: readonly ParameterSpecification[],
): FunctionDefinition {
  const resolved = resolveOptimizer(optimizer);
  const trained = specification.filter((tensor) => tensor.trainable);
  const trainable = trained.map(({ name }) => name);
  return {
    inputs: {
      views: { dtype: 'uint8', shape: [2 * batchSize, imageSize.height, imageSize.width, 3] },
      rate: { dtype: 'float32', shape: [] },
    },
    call: (state, inputs) => {
      let updates: Readonly<Record<string, tf.Tensor>> = {};
      const loss = (...weights: tf.Tensor[]): tf.Scalar => {
        const parameters = {
          ...state,
          ...Object.fromEntries(trainable.map((name, index) => [name, weights[index] as tf.Tensor])),
        };
        const x = normalisePixels(castPixels(backend, inputs['views'] as tf.Tensor), normalisation);
        const result = forward(architecture, parameters, x, { training: true, operations });
        updates = result.updatedStatistics;
        const features = tf.reshape(result.embedding, [batchSize, 2, architecture.featureDim]) as tf.Tensor3D;
        return simclrLoss(features, temperature);
      };
      const { value, grads } = tf.valueAndGrads(loss)(trainable.map((name) => state[name] as tf.Tensor));
      const momentumUpdates = trained.map(({ name, kind }, index) => ({
        variable: name,
        buffer: `${momentumPrefix}${name}`,
        gradient: momentumGradient(state[name] as tf.Tensor, grads[index] as tf.Tensor, kind, resolved),
        rate: inputs['rate'] as tf.Scalar,
        momentum: resolved.momentum,
        nesterov: resolved.nesterov,
      }));
      return { outputs: { loss: value }, updates, momentumUpdates } satisfies FunctionResult;
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
  imageSize,
}: TrainerOptions): void {
  checkStateDict(architecture, parameters);
  checkImageSize(architecture, imageSize.height, imageSize.width);
  checkNormalisation(normalisation);
  resolveOptimizer(optimizer);
  if (!(temperature > 0)) throw invalidField('temperature', `got ${temperature}; allowed: above 0`);
  if (!Number.isInteger(batchSize) || batchSize < 2)
    throw invalidField('batchSize', `got ${batchSize}; allowed: a whole number from 2`);
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
  { architecture, parameters, momentum }: TrainerOptions,
  specification: readonly ParameterSpecification[],
): Record<string, Float32Array> {
  const buffers = momentum ?? initialMomentum(architecture);
  const result: Record<string, Float32Array> = {};
  for (const { name, shape, kind, trainable } of specification) {
    if (kind === 'batch-count') continue;
    result[name] = toTensorFlowLayout(parameters[name] as Float32Array, shape, kind);
    if (trainable) result[`${momentumPrefix}${name}`] = toTensorFlowLayout(buffers[name] as Float32Array, shape, kind);
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
