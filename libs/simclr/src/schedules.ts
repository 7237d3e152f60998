// Learning rate of an epoch, as the reference sets it before each epoch, with an optional warm-up before it.
import { invalidField } from '@kindred/errors';

/** A linear rise from `startFactor` of the rate to the whole rate over the first epochs (Goyal et al. 2017, §2.2). */
export interface WarmUp {
  /** Length, above 0 and below the run's epochs. */
  readonly epochs: number;
  /** Part of the rate at epoch 0, from 0 to 1. `torch.optim.lr_scheduler.LinearLR` begins at 1/3, SimCLR (§B.1) at 0. */
  readonly startFactor: number;
}

/** How the learning rate changes over a run. Rates are those of SCAN's configuration files. */
export type LearningRateSchedule = (
  | { readonly kind: 'constant' }
  /**
   * Half a cosine from the base rate to base·decayRate³ over the run (SCAN §3, SGDR without restarts); after a warm-up,
   * over the epochs that are left (SimCLR §2.1).
   */
  | { readonly kind: 'cosine'; readonly decayRate: number }
  /** The base rate times decayRate once for each of `decayEpochs` that lies before the epoch; a warm-up shifts none. */
  | { readonly kind: 'step'; readonly decayRate: number; readonly decayEpochs: readonly number[] }
) & {
  /** @default none, as the reference */
  readonly warmUp?: WarmUp;
};

/**
 * The learning rate at `epoch` (counted from 0) in a run of `epochs`. A fraction of an epoch gives the rate within it:
 * epoch + step / stepsPerEpoch makes the cosine and the warm-up move at each step. Steps of the `step` schedule lie
 * between epochs all the same.
 *
 * @throws KindredError INVALID_ARGUMENT for an epoch below 0, a cosine over no epochs, or a warm-up that doesn't fit.
 */
export function learningRate(schedule: LearningRateSchedule, baseRate: number, epoch: number, epochs: number): number {
  if (!(epoch >= 0)) throw invalidField('epoch', `got ${epoch}; allowed: 0 or more`);
  const { warmUp } = schedule;
  if (warmUp === undefined) return decayedRate(schedule, baseRate, epoch, 0, epochs);
  checkWarmUp(warmUp, epochs);
  const rise = Math.min(1, warmUp.startFactor + ((1 - warmUp.startFactor) * epoch) / warmUp.epochs);
  return rise * decayedRate(schedule, baseRate, epoch, warmUp.epochs, epochs);
}

function decayedRate(
  schedule: LearningRateSchedule,
  baseRate: number,
  epoch: number,
  begin: number,
  epochs: number,
): number {
  switch (schedule.kind) {
    case 'constant':
      return baseRate;
    case 'cosine': {
      if (!(epochs > 0)) throw invalidField('epochs', `got ${epochs}; allowed: 1 or more`);
      const lowest = baseRate * schedule.decayRate ** 3;
      const progress = Math.max(0, epoch - begin) / (epochs - begin);
      return lowest + ((baseRate - lowest) * (1 + Math.cos(Math.PI * progress))) / 2;
    }
    case 'step': {
      const drops = schedule.decayEpochs.filter((boundary) => Math.floor(epoch) > boundary).length;
      return drops === 0 ? baseRate : baseRate * schedule.decayRate ** drops;
    }
  }
}

function checkWarmUp({ epochs: length, startFactor }: WarmUp, epochs: number): void {
  if (!(length > 0 && length < epochs)) {
    throw invalidField(
      'schedule.warmUp.epochs',
      `got ${length}; allowed: above 0 and below the run's ${epochs} epochs`,
    );
  }
  if (!(startFactor >= 0 && startFactor <= 1)) {
    throw invalidField('schedule.warmUp.startFactor', `got ${startFactor}; allowed: from 0 to 1`);
  }
}
