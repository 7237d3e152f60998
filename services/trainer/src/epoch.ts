// The steps of one epoch, from its beginning or from a checkpoint in its middle, with the time that each waited for its data.
import { setImmediate as turn } from 'node:timers/promises';
import { KindredError } from '@kindred/errors';
import type { StreamBatchesResponse } from '@kindred/protocol/augmentation';
import type { Trainer } from '@kindred/tensorflow-native';
import { notFinite } from './finite.js';
import type { TrainingPlan } from './plan.js';
import { afterStep, type Progress } from './progress.js';
import type { Elapsed, RunEventBody } from './run.js';

/** What an epoch is given. */
export interface EpochSurroundings {
  /** The epoch's batches, in order, from the first that is not trained yet. */
  readonly batches: AsyncIterable<StreamBatchesResponse>;
  /** Learning rate of a step of the epoch, of `batchCount`; steps count from 0. */
  rate(step: number, batchCount: number): number;
  readonly signal: AbortSignal;
  emit(event: RunEventBody): void;
  /** Called after each step but the epoch's last one; true: stop here. Its own time does not count as training. */
  between(stand: EpochStand): Promise<boolean>;
}

/** Where the run stands in an epoch. */
export interface EpochStand {
  readonly progress: Progress;
  readonly elapsed: Elapsed;
}

/**
 * Trains what is left of an epoch after `start`. The result's `epochSteps` is the whole epoch's, unless it was stopped.
 * @throws KindredError CANCELLED when `signal` aborts, FAILED_PRECONDITION when the loss is no longer a number.
 */
export async function trainEpoch(
  trainer: Pick<Trainer, 'step' | 'prefetches'>,
  plan: Pick<TrainingPlan, 'batchSize' | 'logSteps'>,
  start: EpochStand,
  { batches, rate, signal, emit, between }: EpochSurroundings,
): Promise<EpochStand & { readonly stopped: boolean }> {
  const epoch = start.progress.epochsCompleted;
  let { progress } = start;
  let { waitedSeconds } = start.elapsed;
  let began = performance.now() - start.elapsed.seconds * 1000;
  let logged = { time: performance.now(), waitedSeconds, steps: progress.epochSteps };
  let asked = performance.now();
  const elapsed = (): Elapsed => ({ seconds: (performance.now() - began) / 1000, waitedSeconds });
  for await (const { batch, next } of withNext(batches, trainer.prefetches)) {
    const dataWaitSeconds = (performance.now() - asked) / 1000;
    waitedSeconds += dataWaitSeconds;
    const learningRate = rate(batch.batch, batch.batchCount);
    const loss = trainer.step(batch.images, learningRate, next?.images);
    if (!Number.isFinite(loss)) {
      const { stepsCompleted } = progress;
      throw notFinite(`the loss is ${loss} in epoch ${epoch}, step ${batch.batch} (step ${stepsCompleted} of the run)`);
    }
    progress = afterStep(progress, loss);
    if (progress.epochSteps % plan.logSteps === 0) {
      const now = performance.now();
      const seconds = (now - logged.time) / 1000;
      emit({
        kind: 'step',
        epoch,
        step: batch.batch,
        loss,
        learningRate,
        pairsPerSecond: ((progress.epochSteps - logged.steps) * plan.batchSize) / seconds,
        dataWaitFraction: (waitedSeconds - logged.waitedSeconds) / seconds,
        dataWaitSeconds,
      });
      logged = { time: now, waitedSeconds, steps: progress.epochSteps };
    }
    // A step is one synchronous call; messages of other processes get their turn between two of them.
    await turn();
    if (signal.aborted) {
      throw new KindredError('CANCELLED', `the run was cancelled in epoch ${epoch} after step ${batch.batch}`);
    }
    if (batch.batch + 1 < batch.batchCount) {
      const paused = performance.now();
      if (await between({ progress, elapsed: elapsed() })) return { progress, elapsed: elapsed(), stopped: true };
      const pause = performance.now() - paused;
      began += pause;
      logged = { ...logged, time: logged.time + pause };
    }
    asked = performance.now();
  }
  return { progress, elapsed: elapsed(), stopped: false };
}

/** Each batch, and where `looksAhead` the one after it; null: none, or not asked for. */
async function* withNext<T>(
  batches: AsyncIterable<T>,
  looksAhead: boolean,
): AsyncGenerator<{ readonly batch: T; readonly next: T | null }, void, undefined> {
  let held: T | null = null;
  for await (const batch of batches) {
    if (!looksAhead) yield { batch, next: null };
    else if (held !== null) yield { batch: held, next: batch };
    held = batch;
  }
  if (looksAhead && held !== null) yield { batch: held, next: null };
}
