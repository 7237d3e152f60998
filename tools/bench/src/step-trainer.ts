// The trainer whose step is measured: the reference's settings for CIFAR-10, on fresh parameters.
import { createArchitecture, initialParameters } from '@kindred/simclr';
import { createTrainer, type Precision, type TensorFlowOptions, type Trainer } from '@kindred/tensorflow-native';
import { simclrAugmentation } from './simclr-settings.js';

/** What our side of a comparison of steps is told at its start. */
export interface StepOptions {
  readonly width: number;
  /** Images of a step, both views counted. */
  readonly views: number;
  readonly tensorFlow: TensorFlowOptions;
  /** @default 'float32' */
  readonly precision?: Precision;
  /** @default on a GPU */
  readonly prefetch?: boolean;
}

/** Pixels on each side of an image. */
export const imageSide = 32;

/** Creates it; this traces, writes and loads the step's graph. */
export function createStepTrainer({ width, views, tensorFlow, precision, prefetch }: StepOptions): Trainer {
  const architecture = createArchitecture({ width });
  return createTrainer({
    architecture,
    parameters: initialParameters(architecture, 0),
    optimizer: { momentum: 0.9, weightDecay: 1e-4 },
    temperature: 0.1,
    normalisation: simclrAugmentation.normalize,
    batchSize: views / 2,
    imageSize: { height: imageSide, width: imageSide },
    ...(precision === undefined ? {} : { precision }),
    ...(prefetch === undefined ? {} : { prefetch }),
    tensorFlow,
  });
}
