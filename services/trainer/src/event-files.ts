// A run's history as TensorBoard's curves: event files in the artifact store, one more for each part of the stored events.
import { encodeEventFile, type ScalarEvent } from '@kindred/formats';
import type { ArtifactStore } from '@kindred/artifact-store';
import { runKey, type RunEvent, type RunSpecification } from './run.js';

/** Writes event files. */
export interface EventFiles {
  /** Adds what the files do not hold yet of `events`, a run's history so far, and deletes those of another history. */
  write(specification: RunSpecification, events: readonly RunEvent[]): Promise<void>;
}

/** Events of one file at most: a few ms of encoding, between which the event loop has its turn. */
const maxFileEvents = 1000;

/**
 * Makes the writer over an artifact store. A file holds the events of the history from one number to another, both in its name, with
 * the time of the last: so a call writes what is new only, and what a run that goes on from a checkpoint has lost is found by the
 * times and deleted. TensorBoard reads the files of a folder one after the other in the order of their names.
 */
export function createEventFiles(artifacts: Pick<ArtifactStore, 'put' | 'list' | 'delete'>): EventFiles {
  return {
    async write({ runId, createTime, experiment }, events) {
      if (!experiment.tensorboard.scalars) return;
      const prefix = runKey(runId, 'tensorboard/events.out.tfevents.');
      const begin = digits(Math.floor(Date.parse(createTime) / 1000), 10);
      const keyOf = (from: number, to: number): string => {
        const time = digits(Date.parse(events[to - 1]?.time ?? ''), 13);
        return `${prefix}${begin}.kindred.${digits(from, 9)}-${digits(to, 9)}-${time}`;
      };
      let written = 0;
      for await (const { key } of artifacts.list(prefix)) {
        const to = Number(/-(\d+)-\d+$/.exec(key)?.[1]);
        if (to > written && to <= events.length && key === keyOf(written, to)) written = to;
        else await artifacts.delete(key);
      }
      while (written < events.length) {
        const to = Math.min(events.length, written + maxFileEvents);
        await artifacts.put(keyOf(written, to), encodeEventFile(scalarsOf(events, written, to)));
        written = to;
      }
    },
  };
}

/**
 * The points of all curves from events `from` to (without) `to` of a whole history: those of training over steps of the run, those of
 * evaluation over epochs trained.
 */
export function scalarsOf(events: readonly RunEvent[], from = 0, to = events.length): ScalarEvent[] {
  const started = events.find(({ body }) => body.kind === 'started')?.body;
  const stepsPerEpoch = started?.kind === 'started' ? started.stepsPerEpoch : 0;
  return events.slice(from, to).flatMap(({ time, body }) => {
    const curves = curvesOf(body, stepsPerEpoch);
    const timeMs = Date.parse(time);
    return Object.entries(curves.values).map(([tag, value]) => ({ tag, step: curves.step, timeMs, value }));
  });
}

function digits(value: number, count: number): string {
  return String(value).padStart(count, '0');
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
