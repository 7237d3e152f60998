// The runs of this service: one trains at a time, the others wait; all go on after a restart.
import { KindredError, notFound, toKindredError } from '@kindred/errors';
import type { Watched } from './event-log.js';
import { pinnedAlike, type PinDatasets } from './pinned-datasets.js';
import type { Notice, RunSpecification } from './run.js';
import { byCreation, createRunEntry, exclusively, newRecord, sameContent, viewOf } from './run-entry.js';
import type { RunEntry, RunView } from './run-entry.js';
import type { RunEndsOptions } from './run-ends.js';
import type { RunQueue } from './run-queue.js';
import { sideBySide } from './side-by-side.js';

/** The service's runs. */
export interface Runs {
  /** Runs whose record is damaged: left aside, and every call on one is DATA_LOSS. */
  readonly damaged: readonly DamagedRun[];
  /** Starts a run, or returns the one that exists with the same content. RESOURCE_EXHAUSTED: no space, or too many wait. */
  start(specification: RunSpecification): Promise<RunView>;
  get(runId: string): Promise<RunView>;
  /** Ids, newest first. */
  list(): string[];
  watch(
    runId: string,
    first: number,
    signal: AbortSignal,
    firstPodEnd?: number,
  ): AsyncGenerator<Watched, void, undefined>;
  cancel(runId: string): Promise<RunView>;
  resume(runId: string): Promise<RunView>;
  /** Stops the training process; its run goes on when the service is started again. */
  close(): Promise<void>;
}

/** A run that could not be read at the start of the service. */
export interface DamagedRun {
  readonly runId: string;
  readonly notice: Notice;
}

/** How the runs are kept and worked on. */
export interface RunsOptions extends RunEndsOptions {
  /** Who works on them. */
  readonly queue: RunQueue;
  /** Runs that may wait for their turn. */
  readonly maxPendingRuns: number;
  /** Pins the datasets of a new run. @default they stay as they are named */
  readonly pinDatasets?: PinDatasets;
}

/**
 * Reads the records of all runs from the store, and the histories of those that had not ended, with which it goes on; others' when
 * they are asked for. A damaged one never stops the others.
 */
export async function openRuns(options: RunsOptions): Promise<Runs> {
  const { store, logger, maxPendingRuns, queue } = options;
  const { pinDatasets = (specification) => Promise.resolve(specification) } = options;
  const { entries, damaged, unread } = await readAll(options);
  const reading = new Map<RunEntry, Promise<void>>();
  /** Reads the history of a run that had ended when the service began, once somebody asks for the run. */
  const whole = async (entry: RunEntry): Promise<RunEntry> => {
    if (!unread.has(entry)) return entry;
    const { runId } = entry.record.specification;
    const read = async (): Promise<void> => {
      const { log, commits, storedEvents } = createRunEntry(await store.load(runId));
      Object.assign(entry, { log, commits, storedEvents });
      unread.delete(entry);
      for (const { message } of entry.log.notices) logger.warn({ run: runId, message }, 'stored data is damaged');
    };
    const under = reading.get(entry) ?? read().finally(() => reading.delete(entry));
    reading.set(entry, under);
    await under;
    return entry;
  };
  const entryOf = (runId: string): RunEntry => {
    const damage = damaged.find((run) => run.runId === runId);
    if (damage !== undefined) {
      throw new KindredError('DATA_LOSS', damage.notice.message, { resource: { type: 'run', name: runId } });
    }
    const entry = entries.get(runId);
    if (entry === undefined) throw notFound('run', runId);
    return entry;
  };

  /** The run of this id, where there is one. */
  const existing = (asked: RunSpecification): RunEntry | null => {
    const { runId } = asked;
    if (!entries.has(runId) && !damaged.some((run) => run.runId === runId)) return null;
    const entry = entryOf(runId);
    const { specification } = entry.record;
    if (sameContent(specification, pinnedAlike(asked, specification))) return entry;
    throw new KindredError('ALREADY_EXISTS', `run '${runId}' exists with other content; choose another id`, {
      resource: { type: 'run', name: runId },
    });
  };

  const goOn = async (entry: RunEntry): Promise<void> => {
    const { runId } = entry.record.specification;
    const record = {
      ...entry.record,
      state: 'pending' as const,
      failure: null,
      tail: [],
      updateTime: new Date().toISOString(),
      work: undefined,
      cancelling: undefined,
    };
    await queue.clear(entry);
    const stored = await store.loadWhole(runId);
    await store.saveGoing(record);
    const { commits, storedEvents } = createRunEntry({ record, ...stored });
    Object.assign(entry, { record, commits, storedEvents, losses: 0, cancelling: false });
    entry.log.cutBack(storedEvents);
    entry.log.setPaused(false);
    for (const message of stored.damage) entry.log.notify(message);
    queue.add(entry);
  };

  const unfinished = [...entries.values()].filter(
    ({ record }) => record.state === 'running' || record.state === 'pending',
  );
  for (const entry of unfinished.sort(byCreation)) queue.add(entry);
  if (damaged.length > 0) logger.error({ runs: damaged.map(({ runId }) => runId) }, 'runs left aside');

  return {
    damaged,
    async start(asked) {
      const { runId } = asked;
      const before = existing(asked);
      if (before !== null) return viewOf(await whole(before));
      const specification = await pinDatasets(asked);
      // Another call may have started it in the meantime.
      const meanwhile = existing(asked);
      if (meanwhile !== null) return viewOf(await whole(meanwhile));
      if (queue.length >= maxPendingRuns) {
        throw new KindredError(
          'RESOURCE_EXHAUSTED',
          `${queue.length} runs wait already, the most that may; retry later`,
          { retryAfterMs: 60_000 },
        );
      }
      const entry = createRunEntry({ record: newRecord(specification), commits: [], damage: [] });
      entries.set(runId, entry);
      try {
        await exclusively(entry, () => store.saveGoing(entry.record));
      } catch (thrown) {
        entries.delete(runId);
        throw thrown;
      }
      queue.add(entry);
      return viewOf(entry);
    },
    get: async (runId) => viewOf(await whole(entryOf(runId))),
    list: () =>
      [...entries.values()]
        .sort(byCreation)
        .reverse()
        .map(({ record }) => record.specification.runId),
    async *watch(runId, first, signal, firstPodEnd) {
      const { log } = await whole(entryOf(runId));
      yield* log.watch(first, signal, firstPodEnd);
    },
    async cancel(runId) {
      const entry = await whole(entryOf(runId));
      await entry.changing;
      const { state } = entry.record;
      if (state === 'succeeded' || state === 'failed') {
        throw new KindredError(
          'FAILED_PRECONDITION',
          `run '${runId}' has ${state} already; only a run that goes can be cancelled`,
        );
      }
      if (state !== 'cancelled') await queue.cancel(entry);
      return viewOf(entry);
    },
    async resume(runId) {
      const entry = await whole(entryOf(runId));
      await exclusively(entry, async () => {
        const { state } = entry.record;
        if (state === 'succeeded') {
          throw new KindredError('FAILED_PRECONDITION', `run '${runId}' has succeeded; there is nothing to resume`);
        }
        if (state === 'failed' || state === 'cancelled' || state === 'paused') await goOn(entry);
      });
      return viewOf(entry);
    },
    close: () => queue.close(),
  };
}

/** Records that are read at a time. */
const readAtOnce = 32;

async function readAll({ store, logger, queue }: RunsOptions) {
  const entries = new Map<string, RunEntry>();
  const unread = new Set<RunEntry>();
  const damaged: DamagedRun[] = [];
  const ids = await store.listIds();
  const read = async (runId: string): Promise<void> => {
    try {
      const record = await store.loadRecord(runId);
      if (record.state !== 'running' && record.state !== 'pending') {
        const entry = createRunEntry({ record, commits: [], damage: [] });
        unread.add(entry);
        entries.set(runId, entry);
        return;
      }
      const stored = await store.load(runId);
      const entry = createRunEntry(queue.worksWhileAway ? stored : { ...stored, ...(await store.loadWhole(runId)) });
      for (const { message } of entry.log.notices) logger.warn({ run: runId, message }, 'stored data is damaged');
      entries.set(runId, entry);
    } catch (thrown) {
      const { message } = toKindredError(thrown);
      logger.error({ err: thrown, run: runId }, 'a run could not be read');
      damaged.push({ runId, notice: { time: new Date().toISOString(), message } });
    }
  };
  await sideBySide(ids, readAtOnce, read);
  damaged.sort((a, b) => (a.runId < b.runId ? -1 : 1));
  return { entries, damaged, unread };
}
