// One epoch of training steps, with the time that each waited for its data.
import { setImmediate as turn } from 'node:timers/promises';
import { KindredError } from '@kindred/errors';
import type { StreamBatchesResponse } from '@kindred/protocol/augmentation';
import type { Trainer } from '@kindred/tensorflow-native';
import type { TrainingPlan } from './plan.js';
import type { RunEventBody } from './run.js';

/** What an epoch is given. */
export interface EpochSurroundings {
  /** The epoch's batches, in order. */
  readonly batches: AsyncIterable<StreamBatchesResponse>;
  readonly rate: number;
  readonly signal: AbortSignal;
  emit(event: RunEventBody): void;
}

/** What an epoch has done. */
export interface EpochResult {
  readonly steps: number;
  readonly meanLoss: number;
  readonly seconds: number;
  /** Part of the time in which steps waited for data, 0 to 1. */
  readonly dataWaitFraction: number;
}

/**
 * Trains one epoch.
 * @throws KindredError CANCELLED when `signal` aborts, FAILED_PRECONDITION when the loss is no longer a number.
 */
export async function trainEpoch(
  trainer: Pick<Trainer, 'step'>,
  plan: Pick<TrainingPlan, 'batchSize' | 'logSteps'>,
  epoch: number,
  { batches, rate, signal, emit }: EpochSurroundings,
): Promise<EpochResult> {
  const started = performance.now();
  let waited = 0;
  let lossTotal = 0;
  let steps = 0;
  let logged = { time: started, waited: 0, steps: 0 };
  let asked = started;
  for await (const batch of batches) {
    waited += performance.now() - asked;
    const loss = trainer.step(batch.images, rate);
    if (!Number.isFinite(loss)) {
      throw new KindredError(
        'FAILED_PRECONDITION',
        `the loss is ${loss} in epoch ${epoch}, step ${batch.batch}; a smaller learning rate may help`,
      );
    }
    lossTotal += loss;
    steps++;
    if (steps % plan.logSteps === 0) {
      const now = performance.now();
      const seconds = (now - logged.time) / 1000;
      emit({
        kind: 'step',
        epoch,
        step: batch.batch,
        loss,
        learningRate: rate,
        pairsPerSecond: ((steps - logged.steps) * plan.batchSize) / seconds,
        dataWaitFraction: (waited - logged.waited) / 1000 / seconds,
      });
      logged = { time: now, waited, steps };
    }
    // A step is one synchronous call; messages of other processes get their turn between two of them.
    await turn();
    if (signal.aborted)
      throw new KindredError('CANCELLED', `the run was cancelled in epoch ${epoch} after step ${batch.batch}`);
    asked = performance.now();
  }
  const seconds = (performance.now() - started) / 1000;
  return { steps, meanLoss: lossTotal / steps, seconds, dataWaitFraction: waited / 1000 / seconds };
}
