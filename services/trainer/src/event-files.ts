// A run's history as TensorBoard's curves: one event file in the artifact store, made anew from the stored events.
import { encodeEventFile, type ScalarEvent } from '@kindred/formats';
import type { ArtifactStore } from '@kindred/artifact-store';
import { runKey, type RunEvent, type RunSpecification } from './run.js';

/** Writes event files. */
export interface EventFiles {
  /** Puts the curves of `events`, a run's history so far, in the place of those before. */
  write(specification: RunSpecification, events: readonly RunEvent[]): Promise<void>;
}

/**
 * Makes the writer over an artifact store. Each file holds the whole history, so a run that goes on from a checkpoint shows
 * nothing twice; it has a name of its own, since TensorBoard reads a file that it knows only where it has ended, and the
 * one before is deleted. TensorBoard then replaces what it had by the new file's steps.
 */
export function createEventFiles(artifacts: Pick<ArtifactStore, 'put' | 'list' | 'delete'>): EventFiles {
  return {
    async write({ runId, createTime, experiment }, events) {
      if (!experiment.tensorboard.scalars) return;
      const prefix = runKey(runId, 'tensorboard/events.out.tfevents.');
      const begin = String(Math.floor(Date.parse(createTime) / 1000)).padStart(10, '0');
      // TensorBoard reads files in the order of their names.
      const key = `${prefix}${begin}.kindred.${String(events.length).padStart(9, '0')}`;
      await artifacts.put(key, encodeEventFile(scalarsOf(events)));
      for await (const { key: other } of artifacts.list(prefix)) if (other !== key) await artifacts.delete(other);
    },
  };
}

/** The points of all curves: those of training over steps of the run, those of evaluation over epochs trained. */
export function scalarsOf(events: readonly RunEvent[]): ScalarEvent[] {
  const bodies = events.map(({ body }) => body);
  const stepsPerEpoch = bodies.find((body) => body.kind === 'started')?.stepsPerEpoch ?? 0;
  return events.flatMap(({ time, body }) => {
    const curves = curvesOf(body, stepsPerEpoch);
    const timeMs = Date.parse(time);
    return Object.entries(curves.values).map(([tag, value]) => ({ tag, step: curves.step, timeMs, value }));
  });
}

function curvesOf(body: RunEvent['body'], stepsPerEpoch: number): { step: number; values: Record<string, number> } {
  switch (body.kind) {
    case 'step':
      return {
        step: body.epoch * stepsPerEpoch + body.step + 1,
        values: {
          'train/loss': body.loss,
          'train/learning_rate': body.learningRate,
          'speed/pairs_per_second': body.pairsPerSecond,
          'speed/data_wait_fraction': body.dataWaitFraction,
        },
      };
    case 'epoch':
      return {
        step: body.epoch + 1,
        values: { 'epoch/mean_loss': body.meanLoss, 'process/resident_bytes': body.residentBytes },
      };
    case 'knn':
      return {
        step: body.epochsTrained,
        values: {
          'evaluation/knn_top1': body.top1,
          ...(body.backboneTop1 === undefined ? {} : { 'evaluation/backbone_knn_top1': body.backboneTop1 }),
        },
      };
    case 'linear-probe':
      return {
        step: body.epochsTrained,
        values: {
          'evaluation/linear_probe_top1': body.top1,
          'evaluation/linear_probe_train_top1': body.trainTop1,
        },
      };
    case 'started':
    case 'checkpoint':
    case 'stopped':
    case 'ended':
      return { step: 0, values: {} };
  }
}
