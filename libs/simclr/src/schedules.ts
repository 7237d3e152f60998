// Learning rate of an epoch, as the reference sets it before each epoch.
import { invalidField } from '@kindred/errors';

/** How the learning rate changes over a run. Rates are those of SCAN's configuration files. */
export type LearningRateSchedule =
  | { readonly kind: 'constant' }
  /** Half a cosine from the base rate to base·decayRate³ over the run (SCAN §3, SGDR without restarts). */
  | { readonly kind: 'cosine'; readonly decayRate: number }
  /** The base rate times decayRate once for each of `decayEpochs` that lies before the epoch. */
  | { readonly kind: 'step'; readonly decayRate: number; readonly decayEpochs: readonly number[] };

/**
 * The learning rate of `epoch` (counted from 0) in a run of `epochs`.
 *
 * @throws KindredError INVALID_ARGUMENT for an epoch below 0 or a cosine over no epochs.
 */
export function learningRate(schedule: LearningRateSchedule, baseRate: number, epoch: number, epochs: number): number {
  if (!(epoch >= 0)) throw invalidField('epoch', `got ${epoch}; allowed: 0 or more`);
  switch (schedule.kind) {
    case 'constant':
      return baseRate;
    case 'cosine': {
      if (!(epochs > 0)) throw invalidField('epochs', `got ${epochs}; allowed: 1 or more`);
      const lowest = baseRate * schedule.decayRate ** 3;
      return lowest + ((baseRate - lowest) * (1 + Math.cos((Math.PI * epoch) / epochs))) / 2;
    }
    case 'step': {
      const drops = schedule.decayEpochs.filter((boundary) => epoch > boundary).length;
      return drops === 0 ? baseRate : baseRate * schedule.decayRate ** drops;
    }
  }
}
