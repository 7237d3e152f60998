// Takes into a run's entry what its pod has stored: new commits, the events since the last one, notices.
import type { Commit } from './run.js';
import type { RunEntry } from './run-entry.js';
import type { LiveProgress, RunProgress } from './run-progress.js';
import type { RunStore } from './run-store.js';

/** How far a pod's account was read. */
export interface ProgressSeen {
  /** Uid of the pod whose account it is. */
  pod: string;
  noticeCount: number;
}

/** Where accounts are. */
export interface ProgressSource {
  readonly store: Pick<RunStore, 'loadCommits'>;
  readonly progress: Pick<RunProgress, 'readLive'>;
}

/** Reads what is new. Returns the commits among it. */
export async function takeProgress(
  entry: RunEntry,
  seen: ProgressSeen,
  { store, progress }: ProgressSource,
): Promise<readonly Commit[]> {
  const { runId } = entry.record.specification;
  const live = await progress.readLive(runId);
  if (live === null) return [];
  const isOtherPod = live.pod !== seen.pod;
  let commits: readonly Commit[] = [];
  if (live.committedEvents !== entry.storedEvents) {
    commits = await store.loadCommits(runId, entry.commits.at(-1)?.checkpoint.stepsCompleted ?? -1);
  }
  // Another pod begins at the last commit: what the one before it told of after that comes again.
  if (isOtherPod && seen.pod !== '') entry.log.cutBack(entry.storedEvents);
  for (const { events, ...checkpointed } of commits) {
    append(entry, events);
    entry.commits = [...entry.commits, checkpointed];
    entry.storedEvents = (events.at(-1)?.number ?? entry.storedEvents - 1) + 1;
  }
  if (live.committedEvents === entry.storedEvents) append(entry, live.events);
  takeNotices(entry, seen, live, isOtherPod);
  seen.pod = live.pod;
  return commits;
}

/** Adds those of the events that come after the log's last. */
function append({ log }: RunEntry, events: LiveProgress['events']): void {
  for (const { number, time, body } of events) if (number === log.events.length) log.append(time, body);
}

function takeNotices(entry: RunEntry, seen: ProgressSeen, live: LiveProgress, isOtherPod: boolean): void {
  const { notices } = live;
  const fresh = isOtherPod ? notices.length : Math.min(notices.length, live.noticeCount - seen.noticeCount);
  for (const { message } of notices.slice(notices.length - fresh)) entry.log.notify(message);
  seen.noticeCount = live.noticeCount;
}
