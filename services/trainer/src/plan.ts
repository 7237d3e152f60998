// From an experiment to what the training process does: network, optimizer, schedule, and the batches that it asks for.
import { invalidField } from '@kindred/errors';
import type { Experiment } from '@kindred/experiment';
import { maxPixelBytes } from '@kindred/protocol';
import {
  Split,
  StreamBatchesRequest,
  type DatasetReference,
  type Transformation,
} from '@kindred/protocol/augmentation';
import {
  createArchitecture,
  type Architecture,
  type LearningRateSchedule,
  type Normalisation,
  type OptimizerOptions,
} from '@kindred/simclr';
import type { Precision } from '@kindred/tensorflow-native';
import type { EarlyStop } from './progress.js';
import type { RunSpecification } from './run.js';

/** Settings of the weighted kNN check: the reference's (SCAN §3; Wu et al. 2018). */
export const knnNeighbours = 100;

/** Batches that wait while a step runs: enough to hide a hiccup, few enough to stay small. */
export const batchesAhead = 3;

/** The training process's work, derived from a {@link RunSpecification} alone. */
export interface TrainingPlan {
  readonly architecture: Architecture;
  readonly normalisation: Normalisation;
  readonly cropSize: number;
  /** Shorter side of every image of the data set in pixels; null where they have several sizes. Goes into the model's file. */
  readonly imageSide: number | null;
  readonly optimizer: OptimizerOptions;
  readonly baseRate: number;
  readonly schedule: LearningRateSchedule;
  /** Whether the rate moves at each step, not at each epoch. */
  readonly ratePerStep: boolean;
  readonly temperature: number;
  readonly epochs: number;
  readonly batchSize: number;
  /** Parts that a batch is taken through the network in. */
  readonly accumulateSteps: number;
  /** What the network computes in while training. */
  readonly precision: Precision;
  /** What gradients are multiplied by in the network; undefined: the trainer's default. */
  readonly lossScale: number | undefined;
  readonly classes: number;
  readonly seed: bigint;
  readonly logSteps: number;
  /** Steps between two checkpoints; 0: one after each epoch. */
  readonly checkpointSteps: number;
  /** Steps after which the run ends; 0: after its last epoch. */
  readonly limitSteps: number;
  /** When a run whose kNN top-1 no longer rises ends; null: after its last epoch. */
  readonly earlyStop: EarlyStop | null;
  readonly evaluation: { readonly linearProbe: boolean; readonly backboneKnn: boolean };
  /** Images in TensorBoard's projector; 0: none. */
  readonly projectorImages: number;
  /** The batches of a training epoch, from `firstBatch` on. */
  trainingBatches(epoch: number, firstBatch: number): StreamBatchesRequest;
  /** The batches of an evaluation pass, in order, from `firstBatch` on. */
  evaluationBatches(split: 'train' | 'validation', firstBatch: number): StreamBatchesRequest;
}

/** Most images a batch in evaluation; large enough for full speed, small enough for the paper's network on 96×96 images. */
const maxEvaluationBatch = 256;

/** Sides of the images of each data set; a folder's, or a pushed one's, may be of any size. */
const imageSides: Readonly<Record<Experiment['train_db_name'], number | null>> = {
  'cifar-10': 32,
  'cifar-20': 32,
  'stl-10': 96,
  drawn: 32,
  folder: null,
};

/** Derives the plan. @throws KindredError INVALID_ARGUMENT for settings that contradict each other, or a batch that no message holds. */
export function createPlan({ experiment, seed, dataRoot }: RunSpecification): TrainingPlan {
  const { model_kwargs: model, augmentation_kwargs: augmentation } = experiment;
  const crop = augmentation.random_resized_crop;
  const { crop_size: cropSize, normalize } = experiment.transformation_kwargs;
  if (crop.size !== cropSize) {
    const allowed = `the training crop's size (augmentation_kwargs.random_resized_crop.size), ${crop.size}`;
    throw invalidField('transformation_kwargs.crop_size', `got ${cropSize}; allowed: ${allowed}`);
  }
  const imageBytes = cropSize * cropSize * 3;
  checkBatchSize(experiment.batch_size, 2 * imageBytes);
  const jitter = augmentation.color_jitter;
  const simclr: Transformation = {
    kind: {
      $case: 'simclr',
      value: {
        size: crop.size,
        minScale: crop.scale[0] ?? 0,
        maxScale: crop.scale[1] ?? 1,
        jitterProbability: augmentation.color_jitter_random_apply.p,
        brightness: jitter.brightness,
        contrast: jitter.contrast,
        saturation: jitter.saturation,
        hue: jitter.hue,
        grayscaleProbability: augmentation.random_grayscale.p,
      },
    },
  };
  const evaluation: Transformation = { kind: { $case: 'evaluation', value: { cropSize } } };
  const dataset = (name: Experiment['train_db_name'], split: Split): DatasetReference => {
    const { train_size: trainSize, val_size: validationSize, seed: drawnSeed } = experiment.drawn_kwargs;
    return {
      name,
      split,
      root: name === 'drawn' ? '' : dataRoot,
      drawnSize: name === 'drawn' ? (split === Split.VALIDATION ? validationSize : trainSize) : 0,
      drawnSeed: name === 'drawn' ? BigInt(drawnSeed) : 0n,
    };
  };

  return {
    architecture: createArchitecture({
      backbone: experiment.backbone,
      form: model.form ?? (experiment.train_db_name === 'stl-10' ? 'stl' : 'cifar'),
      width: model.width,
      head: model.head,
      featureDim: model.features_dim,
    }),
    // The reference normalises views and validation images each with their own constants; one network serves both.
    normalisation: normalize,
    cropSize,
    imageSide: imageSides[experiment.train_db_name] ?? null,
    optimizer: optimizerOf(experiment),
    baseRate: experiment.optimizer_kwargs.lr,
    schedule: { ...scheduleOf(experiment), ...warmUpOf(experiment) },
    ratePerStep: experiment.scheduler_kwargs.per_step,
    temperature: experiment.criterion_kwargs.temperature,
    epochs: experiment.epochs,
    batchSize: experiment.batch_size,
    accumulateSteps: experiment.accumulate_steps,
    precision: experiment.precision,
    lossScale: experiment.loss_scale,
    classes: experiment.num_classes,
    seed: BigInt(seed),
    logSteps: experiment.log_steps,
    checkpointSteps: experiment.checkpoint_steps,
    limitSteps: experiment.limit_steps,
    earlyStop: earlyStopOf(experiment),
    evaluation: { linearProbe: experiment.evaluation.linear_probe, backboneKnn: experiment.evaluation.backbone_knn },
    projectorImages: experiment.tensorboard.projector_images,
    trainingBatches: (epoch, firstBatch) =>
      StreamBatchesRequest.create({
        dataset: dataset(experiment.train_db_name, Split.TRAIN_AND_UNLABELED),
        transformation: simclr,
        batchSize: experiment.batch_size,
        shuffle: true,
        dropLast: true,
        seed: BigInt(seed),
        epoch,
        firstBatch,
      }),
    evaluationBatches: (split, firstBatch) =>
      StreamBatchesRequest.create({
        dataset:
          split === 'train'
            ? dataset(experiment.train_db_name, Split.TRAIN)
            : dataset(experiment.val_db_name, Split.VALIDATION),
        transformation: evaluation,
        batchSize: Math.min(maxEvaluationBatch, Math.floor(maxPixelBytes / imageBytes)),
        seed: BigInt(seed),
        firstBatch,
      }),
  };
}

/** Refuses a batch that would not fit a message; `pairBytes`: both views of an image. */
function checkBatchSize(batchSize: number, pairBytes: number): void {
  const allowed = Math.floor(maxPixelBytes / pairBytes);
  if (batchSize <= allowed) return;
  throw invalidField('batch_size', `got ${batchSize}; allowed: at most ${allowed} pairs of views of this crop_size`);
}

function earlyStopOf({ early_stop: stop }: Experiment): EarlyStop | null {
  return stop === undefined ? null : { patience: stop.patience, minDelta: stop.min_delta };
}

function optimizerOf({ optimizer: kind, optimizer_kwargs: options }: Experiment): OptimizerOptions {
  const sgd = { momentum: options.momentum, weightDecay: options.weight_decay, nesterov: options.nesterov };
  return kind === 'sgd' ? { kind, ...sgd } : { kind, ...sgd, trustCoefficient: options.trust_coefficient };
}

function warmUpOf({ scheduler_kwargs: options }: Experiment): Pick<LearningRateSchedule, 'warmUp'> {
  if (options.warmup_epochs === 0) return {};
  return { warmUp: { epochs: options.warmup_epochs, startFactor: options.warmup_start_factor } };
}

function scheduleOf({ scheduler, scheduler_kwargs: options }: Experiment): LearningRateSchedule {
  switch (scheduler) {
    case 'constant':
      return { kind: 'constant' };
    case 'cosine':
      return { kind: 'cosine', decayRate: options.lr_decay_rate };
    case 'step':
      return { kind: 'step', decayRate: options.lr_decay_rate, decayEpochs: options.lr_decay_epochs };
  }
}
