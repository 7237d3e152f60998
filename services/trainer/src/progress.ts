// Where a run stands between two steps, and what follows from it: when a checkpoint is due, when the run is over.

/** When a run ends because kNN top-1 no longer rises. */
export interface EarlyStop {
  /** Checks in a row without a rise. */
  readonly patience: number;
  /** What counts as a rise: more than this above the last rise, in percent. */
  readonly minDelta: number;
}

/** The part of the plan that decides on checkpoints and the end. */
export interface RunLength {
  readonly epochs: number;
  readonly checkpointSteps: number;
  readonly limitSteps: number;
  readonly earlyStop: EarlyStop | null;
}

/** Where a run stands. All of it is computed, nothing measured: it is the same in every run of the same content. */
export interface Progress {
  readonly epochsCompleted: number;
  /** Steps over all epochs. */
  readonly stepsCompleted: number;
  /** Steps of the epoch under way, and the sum of their losses. */
  readonly epochSteps: number;
  readonly lossTotal: number;
  /** The best check after an epoch, kNN top-1 in percent; the untrained network does not count. */
  readonly best: { readonly top1: number; readonly epochsTrained: number } | null;
  /** Top-1 of the last rise by more than `minDelta`, and the checks since. */
  readonly lastRise: number | null;
  readonly checksSinceRise: number;
}

/** Why a run stops before its last epoch. */
export type StopReason = 'limit-steps' | 'early-stop';

/** Where every run begins. */
export const beginning: Progress = {
  epochsCompleted: 0,
  stepsCompleted: 0,
  epochSteps: 0,
  lossTotal: 0,
  best: null,
  lastRise: null,
  checksSinceRise: 0,
};

/** After one more step of the epoch under way. */
export function afterStep(progress: Progress, loss: number): Progress {
  const { stepsCompleted, epochSteps, lossTotal } = progress;
  return {
    ...progress,
    stepsCompleted: stepsCompleted + 1,
    epochSteps: epochSteps + 1,
    lossTotal: lossTotal + loss,
  };
}

/** After an epoch and the check that follows it. */
export function afterEpoch(progress: Progress, top1: number, { earlyStop }: Pick<RunLength, 'earlyStop'>): Progress {
  const epochsCompleted = progress.epochsCompleted + 1;
  const isBest = progress.best === null || top1 > progress.best.top1;
  const rises = progress.lastRise === null || top1 > progress.lastRise + (earlyStop?.minDelta ?? 0);
  return {
    ...progress,
    epochsCompleted,
    epochSteps: 0,
    lossTotal: 0,
    best: isBest ? { top1, epochsTrained: epochsCompleted } : progress.best,
    lastRise: rises ? top1 : progress.lastRise,
    checksSinceRise: rises ? 0 : progress.checksSinceRise + 1,
  };
}

/** Whether the state here is the best by kNN so far. Only true between two epochs. */
export function isBest({ best, epochsCompleted, epochSteps }: Progress): boolean {
  return best !== null && epochSteps === 0 && best.epochsTrained === epochsCompleted;
}

/** Why the run stops here, before its last epoch; null: it does not. */
export function stopReason(progress: Progress, length: RunLength): StopReason | null {
  if (progress.epochsCompleted >= length.epochs) return null;
  if (length.limitSteps > 0 && progress.stepsCompleted >= length.limitSteps) return 'limit-steps';
  if (length.earlyStop !== null && progress.checksSinceRise >= length.earlyStop.patience) return 'early-stop';
  return null;
}

/** Whether no step follows. */
export function isOver(progress: Progress, length: RunLength): boolean {
  return progress.epochsCompleted >= length.epochs || stopReason(progress, length) !== null;
}

/** Whether a checkpoint is written here: every so many steps, at the best by kNN, and at the end. */
export function isCheckpointDue(progress: Progress, length: RunLength): boolean {
  const { checkpointSteps } = length;
  const regular = checkpointSteps === 0 ? progress.epochSteps === 0 : progress.stepsCompleted % checkpointSteps === 0;
  return regular || isBest(progress) || isOver(progress, length);
}
