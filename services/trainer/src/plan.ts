// From an experiment to what the training process does: network, optimizer, schedule, and the batches that it asks for.
import { KindredError } from '@kindred/errors';
import type { Experiment } from '@kindred/experiment';
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
  type SgdOptions,
} from '@kindred/simclr';
import type { EarlyStop } from './progress.js';
import type { RunSpecification } from './run.js';

/** Settings of the weighted kNN check: the reference's (SCAN §3; Wu et al. 2018). */
export const knnNeighbours = 100;

/** The training process's work, derived from a {@link RunSpecification} alone. */
export interface TrainingPlan {
  readonly architecture: Architecture;
  readonly normalisation: Normalisation;
  readonly cropSize: number;
  readonly optimizer: SgdOptions;
  readonly baseRate: number;
  readonly schedule: LearningRateSchedule;
  readonly temperature: number;
  readonly epochs: number;
  readonly batchSize: number;
  readonly classes: number;
  readonly seed: bigint;
  readonly logSteps: number;
  /** Steps between two checkpoints; 0: one after each epoch. */
  readonly checkpointSteps: number;
  /** Steps after which the run ends; 0: after its last epoch. */
  readonly limitSteps: number;
  /** When a run whose kNN top-1 no longer rises ends; null: after its last epoch. */
  readonly earlyStop: EarlyStop | null;
  /** The batches of a training epoch, from `firstBatch` on. */
  trainingBatches(epoch: number, firstBatch: number): StreamBatchesRequest;
  /** The batches of an evaluation pass, in order, from `firstBatch` on. */
  evaluationBatches(split: 'train' | 'validation', firstBatch: number): StreamBatchesRequest;
}

/** Images a batch in evaluation; large enough for full speed, small enough for the paper's network on 96×96 images. */
const evaluationBatchSize = 256;

/** Derives the plan. @throws KindredError INVALID_ARGUMENT for settings that contradict each other. */
export function createPlan({ experiment, seed, dataRoot }: RunSpecification): TrainingPlan {
  const { model_kwargs: model, optimizer_kwargs: optimizer, augmentation_kwargs: augmentation } = experiment;
  const crop = augmentation.random_resized_crop;
  const { crop_size: cropSize, normalize } = experiment.transformation_kwargs;
  if (crop.size !== cropSize) {
    const message = `got ${cropSize}; allowed: the training crop's size (augmentation_kwargs.random_resized_crop.size), ${crop.size}`;
    throw new KindredError('INVALID_ARGUMENT', `transformation_kwargs.crop_size: ${message}`, {
      violations: [{ field: 'transformation_kwargs.crop_size', description: message }],
    });
  }
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
    optimizer: { momentum: optimizer.momentum, weightDecay: optimizer.weight_decay, nesterov: optimizer.nesterov },
    baseRate: optimizer.lr,
    schedule: scheduleOf(experiment),
    temperature: experiment.criterion_kwargs.temperature,
    epochs: experiment.epochs,
    batchSize: experiment.batch_size,
    classes: experiment.num_classes,
    seed: BigInt(seed),
    logSteps: experiment.log_steps,
    checkpointSteps: experiment.checkpoint_steps,
    limitSteps: experiment.limit_steps,
    earlyStop: earlyStopOf(experiment),
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
        batchSize: evaluationBatchSize,
        seed: BigInt(seed),
        firstBatch,
      }),
  };
}

function earlyStopOf({ early_stop: stop }: Experiment): EarlyStop | null {
  return stop === undefined ? null : { patience: stop.patience, minDelta: stop.min_delta };
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
