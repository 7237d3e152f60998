// Works off the runs one at a time: starts the training process, commits its checkpoints, stores how it ended.
import { KindredError, toKindredError } from '@kindred/errors';
import type { Logger } from '@kindred/service-runtime';
import type { TensorFlowOptions } from '@kindred/tensorflow-native';
import type { EventFiles } from './event-files.js';
import type { RunningTraining, TrainingEnd, TrainingExecutor } from './executor.js';
import type { Checkpointed, Commit, RunEvent, RunFailure, RunRecord, RunState } from './run.js';
import { exclusively, failureOf, keptCheckpoints, lastCheckpoint, type RunEntry } from './run-entry.js';
import type { RunLineage } from './run-lineage.js';
import type { RunStore } from './run-store.js';

/** How the runs are kept and worked on. */
export interface RunQueueOptions {
  readonly store: RunStore;
  readonly executor: TrainingExecutor;
  readonly logger: Logger;
  /** How the training process starts TensorFlow. */
  readonly tensorFlow: TensorFlowOptions;
  /** Checkpoints that a run keeps, beside its best. */
  readonly keepCheckpoints: number;
  /** Shows histories in TensorBoard. @default not written */
  readonly eventFiles?: EventFiles;
  /** Says where runs come from. @default not written */
  readonly lineage?: RunLineage;
}

/** The runs that wait, and the one that trains. */
export interface RunQueue {
  readonly length: number;
  add(entry: RunEntry): void;
  /** Cancels a run that waits or trains; one that trains ends a moment later. */
  cancel(entry: RunEntry): Promise<void>;
  /** Kills the training process; its run goes on when the service is started again. */
  close(): Promise<void>;
}

/** A run whose process vanishes this often in a row without reaching a checkpoint has failed. */
const maxLosses = 5;

/** What errors of a full disk are about: the artifact store's folder, or a file outside it. */
const noSpaceResources: readonly string[] = ['folder', 'file'];

/** Where a person sets what decides on the bits of a result. */
const settingVariables: Readonly<Record<keyof TensorFlowOptions, string>> = {
  intraOpThreads: 'KINDRED_TRAINER_THREADS',
  interOpThreads: 'operations side by side',
  xla: 'KINDRED_TRAINER_XLA',
  tf32: 'KINDRED_TRAINER_TF32',
};

/** Makes an empty queue. */
export function createRunQueue(options: RunQueueOptions): RunQueue {
  const { store, executor, logger } = options;
  const waiting: RunEntry[] = [];
  let active: { readonly entry: RunEntry; readonly training: RunningTraining } | null = null;
  let closed = false;
  let working: Promise<void> = Promise.resolve();

  const workOff = async (): Promise<void> => {
    for (let entry = waiting.shift(); entry !== undefined && !closed; entry = waiting.shift()) await work(entry);
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

  /** Only a view of the stored history: where it cannot be written, the run goes on. */
  const showHistory = async ({ record: { specification }, log }: RunEntry): Promise<void> => {
    try {
      await options.eventFiles?.write(specification, log.events);
    } catch (thrown) {
      logger.warn({ err: thrown, run: specification.runId }, 'no event file for TensorBoard');
    }
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

  /** Ends a run by an error; where there is no space, nothing is wrong with the run, and it is paused. */
  const stop = async (entry: RunEntry, error: KindredError, stepsCompleted: number | null): Promise<void> => {
    const { runId } = entry.record.specification;
    const { code, message } = error;
    const failure = failureOf(entry, error, stepsCompleted);
    const pauses = isNoSpace(error);
    logger.warn({ run: runId, code, message }, pauses ? 'run paused' : 'run failed');
    if (!pauses) return endRun(entry, 'failed', failure);
    entry.log.cutBack(entry.storedEvents);
    await rest(entry, { ...entry.record, state: 'paused', failure, tail: [], updateTime: new Date().toISOString() });
    entry.log.notify(`paused until it is resumed: ${failure.message}`);
    entry.log.setPaused(true);
  };

  const endRun = async (
    entry: RunEntry,
    state: RunState,
    failure: RunFailure | null,
    artifacts: readonly string[] = [],
  ): Promise<void> => {
    const time = new Date().toISOString();
    const event: RunEvent = { number: entry.log.events.length, time, body: { kind: 'ended', state, failure } };
    const tail = [...entry.log.events.slice(entry.storedEvents), event];
    const record = { ...entry.record, state, failure, artifacts, tail, updateTime: time };
    await trace(record, entry);
    await rest(entry, record);
    await showHistory(entry);
    // Whoever hears of the end finds it stored.
    entry.log.append(time, event.body);
  };

  /** Before the end is stored, so that an ended run has its manifest; where it cannot be written, the run ends all the same. */
  const trace = async (record: RunRecord, { commits, log }: RunEntry): Promise<void> => {
    try {
      await options.lineage?.writeRun(record, commits, log.events);
    } catch (thrown) {
      logger.warn({ err: thrown, run: record.specification.runId }, 'no manifest of a run');
    }
  };

  /** Stores a state in which the run stays. Where that fails, the watchers are still not left waiting. */
  const rest = async (entry: RunEntry, record: RunRecord): Promise<void> => {
    try {
      await store.saveResting(record);
    } catch (thrown) {
      const { runId } = record.specification;
      const { message } = toKindredError(thrown);
      logger.error({ err: thrown, run: runId, state: record.state }, 'the state of a run could not be stored');
      entry.log.notify(
        `the run is ${record.state}, which could not be stored (${message}): after a restart of the trainer it goes on`,
      );
    }
    entry.record = record;
  };

  return {
    get length() {
      return waiting.length;
    },
    add(entry) {
      waiting.push(entry);
      if (active === null) working = working.then(workOff);
    },
    async cancel(entry) {
      entry.cancelling = true;
      if (active?.entry === entry) return active.training.cancel();
      await exclusively(entry, async () => {
        const place = waiting.indexOf(entry);
        if (place >= 0) waiting.splice(place, 1);
        if (place >= 0 || entry.record.state === 'paused') await endRun(entry, 'cancelled', null);
      });
    },
    async close() {
      closed = true;
      active?.training.kill();
      await working;
    },
  };
}

/** What differs between the settings of a checkpoint and those now, for people; empty: nothing, or none are known. */
function otherSettings(before: TensorFlowOptions | undefined, now: TensorFlowOptions): string {
  if (before === undefined) return '';
  const differing = (Object.keys(settingVariables) as (keyof TensorFlowOptions)[]).filter(
    (key) => before[key] !== now[key],
  );
  return differing.map((key) => `${settingVariables[key]}: ${before[key]}, now ${now[key]}`).join('; ');
}

/** Whether a disk is full. Any other limit that a run passes, it passes again when it is resumed. */
function isNoSpace({ code, resource }: KindredError): boolean {
  return code === 'RESOURCE_EXHAUSTED' && noSpaceResources.includes(resource?.type ?? '');
}
