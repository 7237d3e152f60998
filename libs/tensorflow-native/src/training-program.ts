// The graph of a training run: its step, whole or in parts, and the network in eval mode, over the same variables.
import * as tf from '@tensorflow/tfjs-core';
import {
  forward,
  modelSpecification,
  momentumGradient,
  normalisePixels,
  resolveOptimizer,
  simclrLoss,
  simclrLossGradient,
  tensorFlowShape,
} from '@kindred/simclr';
import type { ForwardResult, NetworkOperations, ParameterSpecification } from '@kindred/simclr';
import { embeddingFunction } from './embedding-function.js';
import { castPixels, createNativeOperations } from './operations.js';
import type { CompiledProgram } from './compile.js';
import type { Precision } from './mixed-precision.js';
import type {
  FunctionDefinition,
  FunctionResult,
  InputDefinition,
  MomentumUpdate,
  ProgramDefinition,
} from './program-definition.js';
import type { TensorFlowRuntime } from './runtime.js';
import type { TrainerOptions } from './trainer.js';

/** State that belongs to the parameter named after it: its momentum buffer. */
export const momentumPrefix = 'momentum/';

/** State that belongs to the parameter named after it: the sum of its gradients over a step's parts so far. */
export const gradientPrefix = 'gradient/';

/** What float16's gradients are multiplied by: far from its smallest number, and 60 times below its largest for gradients of 1. */
export const defaultLossScale = 1024;

/** What the functions of one program have in common. */
interface Network {
  readonly options: TrainerOptions;
  readonly precision: Precision;
  /** What gradients are multiplied by on their way through the network. */
  readonly lossScale: number;
  /** Image pairs that go through the network at once. */
  readonly pairs: number;
  /** Trainable tensors, in the order of the specification. */
  readonly trained: readonly ParameterSpecification[];
  /** Runs the network in train mode on uint8 views, with `weights` for the trainable tensors. */
  train(state: Tensors, weights: readonly tf.Tensor[], views: tf.Tensor): ForwardResult;
}

type Tensors = Readonly<Record<string, tf.Tensor>>;

/**
 * The program of a trainer over parameters, statistics and momentum buffers: functions `step` and `embed`, or where a batch
 * goes through in parts `features`, `loss`, `accumulate` and `update` in place of `step`.
 */
export function trainingProgram(options: TrainerOptions, runtime: TensorFlowRuntime): ProgramDefinition {
  const { architecture, imageSize, normalisation, batchSize, accumulateSteps = 1 } = options;
  const precision = options.precision ?? 'float32';
  // The embedding is float32 in each precision; the step's own convolutions are for float32 only.
  const operations = createNativeOperations(runtime);
  const trainOperations = precision === 'float32' ? operations : createNativeOperations({ ...runtime, winograd: null });
  const specification = modelSpecification(architecture).filter(({ kind }) => kind !== 'batch-count');
  const trained = specification.filter((tensor) => tensor.trainable);
  const prefixes = accumulateSteps > 1 ? ['', momentumPrefix, gradientPrefix] : ['', momentumPrefix];
  const shapes = specification.flatMap(({ name, shape, kind, trainable }) =>
    (trainable ? prefixes : ['']).map((prefix): [string, number[]] => [prefix + name, tensorFlowShape(shape, kind)]),
  );
  const network: Network = {
    options,
    precision,
    lossScale: options.lossScale ?? (precision === 'float16' ? defaultLossScale : 1),
    pairs: batchSize / accumulateSteps,
    trained,
    train: (state, weights, views) => runNetwork(options, runtime, trainOperations, trained, state, weights, views),
  };
  const { height, width } = imageSize;
  return {
    state: Object.fromEntries(shapes),
    functions: {
      ...(accumulateSteps > 1 ? partFunctions(network) : { step: stepFunction(network) }),
      embed: embeddingFunction(architecture, normalisation, operations, runtime.backend, [-1, height, width, 3]),
    },
  };
}

/**
 * One step in `parts` (GradCache, Gao et al. 2021, arXiv:2101.06983): all parts' features, the loss's gradient at them, then each
 * part again, backward from its rows. `views` as in `Trainer.step`. Returns the loss.
 */
export function accumulatedStep(
  { functions }: CompiledProgram,
  views: Uint8Array,
  rate: number,
  parts: number,
): number {
  const size = views.length / parts;
  const pieces = Array.from({ length: parts }, (_, part) => views.subarray(part * size, (part + 1) * size));
  const embedded = pieces.map((piece) => functions['features']?.({ views: piece })['features']?.values as Float32Array);
  const length = embedded[0]?.length ?? 0;
  const features = new Float32Array(length * parts);
  embedded.forEach((values, part) => features.set(values, part * length));
  const result = functions['loss']?.({ features });
  const gradient = result?.['gradient']?.values as Float32Array;
  pieces.forEach((piece, part) => {
    const rows = gradient.subarray(part * length, (part + 1) * length);
    functions['accumulate']?.({ views: piece, rows });
  });
  functions['update']?.({ rate: Float32Array.of(rate) });
  return result?.['loss']?.values[0] ?? Number.NaN;
}

function runNetwork(
  { architecture, normalisation }: TrainerOptions,
  { backend }: TensorFlowRuntime,
  operations: NetworkOperations,
  trained: readonly ParameterSpecification[],
  state: Tensors,
  weights: readonly tf.Tensor[],
  views: tf.Tensor,
): ForwardResult {
  const named = trained.map(({ name }, index): [string, tf.Tensor] => [name, weights[index] as tf.Tensor]);
  const x = normalisePixels(castPixels(backend, views), normalisation);
  return forward(architecture, { ...state, ...Object.fromEntries(named) }, x, { training: true, operations });
}

function stepFunction(network: Network): FunctionDefinition {
  const { options, precision, lossScale, pairs, trained, train } = network;
  return {
    precision,
    inputs: { views: viewsInput(network), rate: { dtype: 'float32', shape: [] } },
    ...(options.prefetch === true ? { ahead: 'views' } : {}),
    call: (state, inputs) => {
      let updates: Tensors = {};
      const startGradient = lossScale === 1 ? undefined : tf.scalar(lossScale);
      const loss = (...weights: tf.Tensor[]): tf.Scalar => {
        const { embedding, updatedStatistics } = train(state, weights, inputs['views'] as tf.Tensor);
        updates = updatedStatistics;
        return simclrLoss(tf.reshape(embedding, [pairs, 2, -1]) as tf.Tensor3D, options.temperature);
      };
      const { value, grads } = tf.valueAndGrads(loss)(valuesOf(state, trained), startGradient);
      return {
        outputs: { loss: value },
        updates,
        momentumUpdates: momentumUpdates(network, state, unscaled(network, grads), inputs['rate'] as tf.Scalar),
      } satisfies FunctionResult;
    },
  };
}

function partFunctions(network: Network): Record<string, FunctionDefinition> {
  const { options, precision, lossScale, pairs, trained, train } = network;
  const dim = options.architecture.featureDim;
  return {
    features: {
      precision,
      inputs: { views: viewsInput(network) },
      call: (state, { views }) => {
        const { embedding, updatedStatistics } = train(state, valuesOf(state, trained), views as tf.Tensor);
        // Running statistics move in the second pass only.
        tf.dispose(updatedStatistics);
        return { outputs: { features: embedding } };
      },
    },
    loss: {
      inputs: { features: { dtype: 'float32', shape: [options.batchSize, 2, dim] } },
      call: (_, { features }) => {
        const { loss, gradient } = simclrLossGradient(features as tf.Tensor3D, options.temperature);
        return { outputs: { loss, gradient } };
      },
    },
    accumulate: {
      precision,
      inputs: { views: viewsInput(network), rows: { dtype: 'float32', shape: [2 * pairs, dim] } },
      call: (state, { views, rows }) => {
        let statistics: Tensors = {};
        const features = (...weights: tf.Tensor[]): tf.Tensor => {
          const { embedding, updatedStatistics } = train(state, weights, views as tf.Tensor);
          statistics = updatedStatistics;
          return embedding;
        };
        const startGradient = times(rows as tf.Tensor, lossScale);
        const grads = unscaled(network, tf.grads(features)(valuesOf(state, trained), startGradient));
        const sums = trained.map(({ name }, index): [string, tf.Tensor] => {
          const key = gradientPrefix + name;
          return [key, tf.add(state[key] as tf.Tensor, grads[index] as tf.Tensor)];
        });
        // A graph function gives something back: any output makes all its writes run.
        return { outputs: { done: tf.scalar(0) }, updates: { ...statistics, ...Object.fromEntries(sums) } };
      },
    },
    update: {
      inputs: { rate: { dtype: 'float32', shape: [] } },
      call: (state, { rate }) => {
        const sums = trained.map(({ name }) => state[gradientPrefix + name] as tf.Tensor);
        const cleared = trained.map(({ name }, index): [string, tf.Tensor] => [
          gradientPrefix + name,
          tf.zerosLike(sums[index] as tf.Tensor),
        ]);
        return {
          outputs: { done: tf.scalar(0) },
          updates: Object.fromEntries(cleared),
          momentumUpdates: momentumUpdates(network, state, sums, rate as tf.Scalar),
        };
      },
    },
  };
}

function viewsInput({ options: { imageSize }, pairs }: Network): InputDefinition {
  return { dtype: 'uint8', shape: [2 * pairs, imageSize.height, imageSize.width, 3] };
}

function valuesOf(state: Tensors, trained: readonly ParameterSpecification[]): tf.Tensor[] {
  return trained.map(({ name }) => state[name] as tf.Tensor);
}

function unscaled({ lossScale }: Network, gradients: readonly tf.Tensor[]): tf.Tensor[] {
  return gradients.map((gradient) => times(gradient, 1 / lossScale));
}

function times(x: tf.Tensor, factor: number): tf.Tensor {
  return factor === 1 ? x : tf.mul(x, tf.scalar(factor));
}

function momentumUpdates(
  { options, trained }: Network,
  state: Tensors,
  gradients: readonly tf.Tensor[],
  rate: tf.Scalar,
): MomentumUpdate[] {
  const optimizer = resolveOptimizer(options.optimizer);
  return trained.map(({ name, kind }, index) => ({
    variable: name,
    buffer: `${momentumPrefix}${name}`,
    gradient: momentumGradient(state[name] as tf.Tensor, gradients[index] as tf.Tensor, kind, optimizer),
    rate,
    momentum: optimizer.momentum,
    nesterov: optimizer.nesterov,
  }));
}
