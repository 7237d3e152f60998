// Works off the runs one at a time: starts the training process, commits its checkpoints, stores how it ended.
import { KindredError, toKindredError } from '@kindred/errors';
import type { TensorFlowOptions } from '@kindred/tensorflow-native';
import type { RunningTraining, TrainingEnd, TrainingExecutor } from './executor.js';
import type { Checkpointed, Commit } from './run.js';
import { createRunEnds, type RunEndsOptions } from './run-ends.js';
import { countRun, uncountRun } from './run-metrics.js';
import { exclusively, keptCheckpoints, lastCheckpoint, type RunEntry } from './run-entry.js';
import { otherSettings } from './run-settings.js';

/** How the runs are kept and worked on. */
export interface RunQueueOptions extends RunEndsOptions {
  readonly executor: TrainingExecutor;
  /** How the training process starts TensorFlow. */
  readonly tensorFlow: TensorFlowOptions;
  /** Checkpoints that a run keeps, beside its best. */
  readonly keepCheckpoints: number;
}

/** The runs that wait, and the one that trains. */
export interface RunQueue {
  readonly length: number;
  add(entry: RunEntry): void;
  /** Cancels a run that waits or trains; one that trains ends a moment later. */
  cancel(entry: RunEntry): Promise<void>;
  /** Before a run is resumed: removes what is left of its last attempt, so that nobody else works on it. */
  clear(entry: RunEntry): Promise<void>;
  /** Whether runs are worked on while the service is away, so that what it finds at its start may be changing. */
  readonly worksWhileAway: boolean;
  /** Stops this service's work; runs go on when it is started again, or meanwhile. */
  close(): Promise<void>;
}

/** A run whose process vanishes this often in a row without reaching a checkpoint has failed. */
const maxLosses = 5;

/** Makes an empty queue. */
export function createRunQueue(options: RunQueueOptions): RunQueue {
  const { store, executor, logger } = options;
  const { endRun, stop, showHistory } = createRunEnds(options);
  const waiting: RunEntry[] = [];
  let active: { readonly entry: RunEntry; readonly training: RunningTraining } | null = null;
  let closed = false;
  let working: Promise<void> = Promise.resolve();

  const workOff = async (): Promise<void> => {
    for (let entry = waiting.shift(); entry !== undefined && !closed; entry = waiting.shift()) {
      const { runId } = entry.record.specification;
      countRun(runId, null);
      await work(entry);
      if (waiting.includes(entry)) countRun(runId, 'turn');
      else uncountRun(runId);
    }
  };

  const work = async (entry: RunEntry): Promise<void> => {
    const { runId } = entry.record.specification;
    try {
      const started = await exclusively(entry, () => begin(entry));
      if (!started) return;
      const end = await started.ended;
      active = null;
      if (!closed) await exclusively(entry, () => finish(entry, end));
    } catch (thrown) {
      active = null;
      logger.error({ err: thrown, run: runId }, 'the state of a run could not be stored');
      await exclusively(entry, () => stop(entry, toKindredError(thrown), null));
    }
  };

  const begin = async (entry: RunEntry): Promise<RunningTraining | null> => {
    const { specification } = entry.record;
    if (entry.cancelling) {
      await endRun(entry, 'cancelled', null);
      return null;
    }
    const updateTime = new Date().toISOString();
    entry.record = { ...entry.record, state: 'running', attempts: entry.record.attempts + 1, updateTime };
    await store.saveGoing(entry.record);
    if (closed) return null;
    const checkpoint = lastCheckpoint(entry);
    const other = otherSettings(checkpoint?.tensorFlow, options.tensorFlow);
    if (other !== '') {
      entry.log.notify(
        `the run goes on with other settings than it had (${other}): it will not end with the bits of the undisturbed run`,
      );
      logger.warn({ run: specification.runId, settings: other }, 'the run goes on with other settings');
    }
    const job = { specification, checkpoint, tensorFlow: options.tensorFlow };
    const training = executor.start(job, {
      onEvent: (time, body) => void entry.log.append(time, body),
      onNotice: (message) => entry.log.notify(message),
      onCommit: (checkpointed) => commit(entry, checkpointed),
    });
    active = { entry, training };
    if (entry.cancelling) training.cancel();
    logger.info({ run: specification.runId, attempt: entry.record.attempts }, 'training');
    return training;
  };

  /** Makes a checkpoint count: from here on a run goes on from it, with the events that led to it. */
  const commit = async (entry: RunEntry, stored: Checkpointed): Promise<void> => {
    const { runId } = entry.record.specification;
    const checkpointed = { ...stored, tensorFlow: options.tensorFlow };
    const storedEvents = entry.log.events.length;
    const full: Commit = { ...checkpointed, events: entry.log.events.slice(entry.storedEvents) };
    await store.saveCommit(runId, full);
    Object.assign(entry, { commits: [...entry.commits, checkpointed], storedEvents, losses: 0 });
    await store.keepCheckpoints(runId, keptCheckpoints(entry, options.keepCheckpoints));
    // Between two epochs only: each time is a file more.
    if (checkpointed.checkpoint.knnTop1 !== null) await showHistory(entry);
  };

  const finish = async (entry: RunEntry, end: TrainingEnd): Promise<void> => {
    const { runId } = entry.record.specification;
    if (end.kind === 'done') {
      // A process that was killed between a commit and the deletion of older checkpoints has left some.
      await store.keepCheckpoints(runId, keptCheckpoints(entry, options.keepCheckpoints));
      return endRun(entry, 'succeeded', null, end.artifacts);
    }
    if (entry.cancelling) return endRun(entry, 'cancelled', null);
    if (end.kind === 'failed') return stop(entry, end.error, end.stepsCompleted);
    logger.warn({ run: runId, reason: end.reason }, 'training process lost');
    if (++entry.losses >= maxLosses) {
      const message = `the training process ended ${entry.losses} times (${end.reason}) without reaching a checkpoint`;
      return stop(entry, new KindredError('INTERNAL', message), null);
    }
    entry.log.notify(`the training process ended (${end.reason}); going on from the last checkpoint`);
    entry.log.cutBack(entry.storedEvents);
    waiting.unshift(entry);
  };

  return {
    get length() {
      return waiting.length;
    },
    add(entry) {
      waiting.push(entry);
      countRun(entry.record.specification.runId, 'turn');
      if (active === null) working = working.then(workOff);
    },
    async cancel(entry) {
      entry.cancelling = true;
      if (active?.entry === entry) return active.training.cancel();
      await exclusively(entry, async () => {
        const place = waiting.indexOf(entry);
        if (place >= 0) {
          waiting.splice(place, 1);
          uncountRun(entry.record.specification.runId);
        }
        if (place >= 0 || entry.record.state === 'paused') await endRun(entry, 'cancelled', null);
      });
    },
    clear: () => Promise.resolve(),
    worksWhileAway: false,
    async close() {
      closed = true;
      active?.training.kill();
      await working;
    },
  };
}
