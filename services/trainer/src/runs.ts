// The runs of this service: one trains at a time, the others wait; all go on after a restart.
import { KindredError, notFound, type ErrorCode } from '@kindred/errors';
import { canonicalJson } from '@kindred/experiment';
import type { Logger } from '@kindred/service-runtime';
import { createEventLog, type EventLog, type Watched } from './event-log.js';
import type { RunningTraining, TrainingEnd, TrainingExecutor } from './executor.js';
import type { EpochRecord, Notice, RunEvent, RunRecord, RunSpecification, RunState } from './run.js';
import type { RunStore, StoredRun } from './run-store.js';

/** A run as callers see it. */
export interface RunView {
  readonly record: RunRecord;
  readonly events: readonly RunEvent[];
  readonly notices: readonly Notice[];
}

/** The service's runs. */
export interface Runs {
  /** Starts a run, or returns the one that exists with the same content. */
  start(specification: RunSpecification): Promise<RunView>;
  get(runId: string): RunView;
  /** Newest first. */
  list(): RunView[];
  watch(runId: string, first: number, signal: AbortSignal): AsyncGenerator<Watched, void, undefined>;
  cancel(runId: string): Promise<RunView>;
  resume(runId: string): Promise<RunView>;
  /** Stops the training process; its run goes on when the service is started again. */
  close(): Promise<void>;
}

/** How the runs are kept and worked on. */
export interface RunsOptions {
  readonly store: RunStore;
  readonly executor: TrainingExecutor;
  readonly logger: Logger;
  readonly threads: number;
  readonly maxPendingRuns: number;
  readonly keepCheckpoints: number;
}

interface Entry {
  record: RunRecord;
  readonly log: EventLog;
  checkpoint: EpochRecord | null;
  /** Events that are stored in epoch records. */
  storedEvents: number;
  /** Processes lost since the last checkpoint. */
  losses: number;
  cancelling: boolean;
}

/** A run whose process vanishes this often without reaching a checkpoint has failed. */
const maxLosses = 3;

/** Reads all runs from the store and goes on with those that had not ended. */
export async function openRuns(options: RunsOptions): Promise<Runs> {
  const { store, executor, logger } = options;
  const entries = new Map<string, Entry>();
  const queue: Entry[] = [];
  let active: { readonly entry: Entry; readonly training: RunningTraining } | null = null;
  let closed = false;
  let working: Promise<void> = Promise.resolve();

  const view = ({ record, log }: Entry): RunView => ({ record, events: log.events, notices: log.notices });
  const entryOf = (runId: string): Entry => {
    const entry = entries.get(runId);
    if (entry === undefined) throw notFound('run', runId);
    return entry;
  };
  const save = async (entry: Entry, change: Partial<RunRecord>): Promise<void> => {
    entry.record = { ...entry.record, ...change, updateTime: new Date().toISOString() };
    await store.saveRecord(entry.record);
  };
  const enqueue = (entry: Entry): void => {
    queue.push(entry);
    if (active === null) working = working.then(workOff);
  };

  const workOff = async (): Promise<void> => {
    for (let entry = queue.shift(); entry !== undefined && !closed; entry = queue.shift()) {
      try {
        await work(entry);
      } catch (thrown) {
        logger.error({ err: thrown, run: entry.record.specification.runId }, 'run could not be stored');
        entry.log.notify(
          `the run's state could not be stored: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
        );
      }
    }
  };

  const work = async (entry: Entry): Promise<void> => {
    const { specification } = entry.record;
    await save(entry, { state: 'running', attempts: entry.record.attempts + 1 });
    const job = { specification, checkpoint: entry.checkpoint, threads: options.threads };
    const training = executor.start(job, {
      onEvent: (time, body) => void entry.log.append(time, body),
      onNotice: (message) => entry.log.notify(message),
      onCommit: async (checkpoint) => {
        const epoch: EpochRecord = { ...checkpoint, events: entry.log.events.slice(entry.storedEvents) };
        await store.saveEpoch(specification.runId, epoch);
        Object.assign(entry, { checkpoint: epoch, storedEvents: entry.log.events.length, losses: 0 });
        await store.dropOldCheckpoints(specification.runId, checkpoint.epochsCompleted, options.keepCheckpoints);
      },
    });
    active = { entry, training };
    logger.info({ run: specification.runId, attempt: entry.record.attempts }, 'training');
    const end = await training.ended;
    active = null;
    if (!closed) await finish(entry, end);
  };

  const finish = async (entry: Entry, end: TrainingEnd): Promise<void> => {
    const { runId } = entry.record.specification;
    if (end.kind === 'done') return endRun(entry, 'succeeded', null, end.artifacts);
    if (entry.cancelling) return endRun(entry, 'cancelled', null);
    if (end.kind === 'failed') {
      const { code, message } = end.error;
      logger.warn({ run: runId, code, message }, 'run failed');
      return endRun(entry, 'failed', { code, message });
    }
    logger.warn({ run: runId, reason: end.reason }, 'training process lost');
    if (++entry.losses >= maxLosses) {
      const message = `the training process ended ${entry.losses} times (${end.reason}) without reaching a checkpoint`;
      return endRun(entry, 'failed', { code: 'INTERNAL', message });
    }
    entry.log.notify(`the training process ended (${end.reason}); going on from the last checkpoint`);
    entry.log.cutBack(entry.storedEvents);
    queue.unshift(entry);
  };

  const endRun = async (
    entry: Entry,
    state: RunState,
    failure: { code: ErrorCode; message: string } | null,
    artifacts: readonly string[] = [],
  ): Promise<void> => {
    const time = new Date().toISOString();
    const event: RunEvent = { number: entry.log.events.length, time, body: { kind: 'ended', state, failure } };
    const tail = [...entry.log.events.slice(entry.storedEvents), event];
    const record: RunRecord = { ...entry.record, state, failure, artifacts, tail, updateTime: time };
    try {
      await store.saveRecord(record);
    } finally {
      // Whoever hears of the end finds it stored; where it cannot be stored, the watchers are still not left waiting.
      entry.record = record;
      entry.log.append(time, event.body);
    }
  };

  const goOn = async (entry: Entry): Promise<void> => {
    entry.log.cutBack(entry.storedEvents);
    Object.assign(entry, { losses: 0, cancelling: false });
    await save(entry, { state: 'pending', failure: null, tail: [] });
    enqueue(entry);
  };

  for (const runId of await store.listIds()) {
    const stored = await store.load(runId);
    entries.set(runId, restored(stored));
  }
  const unfinished = [...entries.values()].filter(
    ({ record }) => record.state === 'running' || record.state === 'pending',
  );
  for (const entry of unfinished.sort(byCreation)) enqueue(entry);

  return {
    async start(specification) {
      const existing = entries.get(specification.runId);
      if (existing !== undefined) {
        if (sameContent(existing.record.specification, specification)) return view(existing);
        throw new KindredError(
          'ALREADY_EXISTS',
          `run '${specification.runId}' exists with other content; choose another id`,
          {
            resource: { type: 'run', name: specification.runId },
          },
        );
      }
      if (queue.length >= options.maxPendingRuns) {
        throw new KindredError(
          'RESOURCE_EXHAUSTED',
          `${queue.length} runs wait already, the most that may; retry later`,
          {
            retryAfterMs: 60_000,
          },
        );
      }
      const entry = restored({ record: newRecord(specification), events: [], checkpoint: null, damage: [] });
      entries.set(specification.runId, entry);
      try {
        await save(entry, {});
      } catch (thrown) {
        entries.delete(specification.runId);
        throw thrown;
      }
      enqueue(entry);
      return view(entry);
    },
    get: (runId) => view(entryOf(runId)),
    list: () => [...entries.values()].sort(byCreation).reverse().map(view),
    watch: (runId, first, signal) => entryOf(runId).log.watch(first, signal),
    async cancel(runId) {
      const entry = entryOf(runId);
      const { state } = entry.record;
      if (state === 'succeeded' || state === 'failed') {
        throw new KindredError(
          'FAILED_PRECONDITION',
          `run '${runId}' has ${state} already; only a run that goes can be cancelled`,
        );
      }
      if (state === 'cancelled') return view(entry);
      entry.cancelling = true;
      if (active?.entry === entry) active.training.cancel();
      const waiting = queue.indexOf(entry);
      if (waiting >= 0) {
        queue.splice(waiting, 1);
        await endRun(entry, 'cancelled', null);
      }
      return view(entry);
    },
    async resume(runId) {
      const entry = entryOf(runId);
      const { state } = entry.record;
      if (state === 'succeeded') {
        throw new KindredError('FAILED_PRECONDITION', `run '${runId}' has succeeded; there is nothing to resume`);
      }
      if (state === 'failed' || state === 'cancelled') await goOn(entry);
      return view(entry);
    },
    async close() {
      closed = true;
      active?.training.kill();
      await working;
    },
  };
}

function restored({ record, events, checkpoint, damage }: StoredRun): Entry {
  const log = createEventLog(events);
  for (const message of damage) log.notify(message);
  const storedEvents = events.length - record.tail.length;
  return { record, log, checkpoint, storedEvents, losses: 0, cancelling: false };
}

function newRecord(specification: RunSpecification): RunRecord {
  const { createTime: updateTime } = specification;
  return { specification, state: 'pending', attempts: 0, failure: null, artifacts: [], updateTime, tail: [] };
}

function sameContent(a: RunSpecification, b: RunSpecification): boolean {
  return a.seed === b.seed && a.dataRoot === b.dataRoot && canonicalJson(a.experiment) === canonicalJson(b.experiment);
}

function byCreation(a: Entry, b: Entry): number {
  return a.record.specification.createTime < b.record.specification.createTime ? -1 : 1;
}
