// A pod's account of its run: commits its checkpoints itself, and shows the events since the last one every few seconds.
import type { TensorFlowOptions } from '@kindred/tensorflow-native';
import type { Checkpointed, Commit, RunEventBody } from './run.js';
import { createRunEntry, keptCheckpoints, type RunEntry } from './run-entry.js';
import type { RunProgress } from './run-progress.js';
import type { RunStore, StoredRun } from './run-store.js';

/** The account of a run. */
export interface RunJournal {
  readonly entry: RunEntry;
  emit(body: RunEventBody): void;
  notify(message: string): void;
  /** Makes a checkpoint count: from here on a run goes on from it, with the events that led to it. */
  commit(checkpointed: Checkpointed): Promise<void>;
  /** Shows what there is now and stops showing. */
  close(): Promise<void>;
}

/** Whose account it is, and where it goes. */
export interface RunJournalOptions {
  readonly store: RunStore;
  readonly progress: RunProgress;
  readonly stored: StoredRun;
  /** Uids of the Job and of the pod that this is. */
  readonly job: string;
  readonly pod: string;
  readonly tensorFlow: TensorFlowOptions;
  /** Checkpoints that a run keeps, beside its best. */
  readonly keepCheckpoints: number;
  /** Pause between two showings, in milliseconds. @default 2_000 */
  readonly showMs?: number;
}

/** Opens the account where the run's commits end. */
export function openRunJournal(options: RunJournalOptions): RunJournal {
  const { store, progress, stored, job, pod, tensorFlow, keepCheckpoints, showMs = 2_000 } = options;
  const { runId } = stored.record.specification;
  const entry = createRunEntry({ ...stored, record: { ...stored.record, tail: [] } });
  const { log } = entry;
  let noticeCount = log.notices.length;
  let shown = '';
  let timer: NodeJS.Timeout | null = null;
  let closed = false;
  let showing: Promise<void> = Promise.resolve();

  const show = async (): Promise<void> => {
    const state = `${log.events.length} ${entry.storedEvents} ${noticeCount}`;
    if (state === shown) return;
    const events = log.events.slice(entry.storedEvents);
    const live = { job, pod, committedEvents: entry.storedEvents, events, notices: log.notices, noticeCount };
    // Only a view of what commits hold sooner or later: where it cannot be written, training goes on.
    await progress.writeLive(runId, live).then(
      () => (shown = state),
      () => {},
    );
  };
  const next = (): void => {
    timer = setTimeout(() => {
      showing = show().then(() => {
        if (!closed) next();
      });
    }, showMs);
    timer.unref();
  };
  next();

  return {
    entry,
    emit: (body) => void log.append(new Date().toISOString(), body),
    notify(message) {
      noticeCount++;
      log.notify(message);
    },
    async commit(checkpointed) {
      const full: Commit = { ...checkpointed, tensorFlow, events: log.events.slice(entry.storedEvents) };
      const storedEvents = log.events.length;
      await store.saveCommit(runId, full);
      Object.assign(entry, { commits: [...entry.commits, { ...checkpointed, tensorFlow }], storedEvents });
      await store.keepCheckpoints(runId, keptCheckpoints(entry, keepCheckpoints));
    },
    async close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      await showing;
      await show();
    },
  };
}
