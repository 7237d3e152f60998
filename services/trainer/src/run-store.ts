// Runs in the artifact store: the record of each, its commits, and which of its checkpoints are whole.
import { randomBytes } from 'node:crypto';
import { KindredError, isKindredError } from '@kindred/errors';
import type { ArtifactStore } from '@kindred/artifact-store';
import { commitKey, runKey, type Commit, type RunEvent, type RunRecord, type RunState } from './run.js';

/** A run as it was found in the store. */
export interface StoredRun {
  readonly record: RunRecord;
  /** Its commits in order, as far as they can be read. */
  readonly commits: readonly Commit[];
  /** What is wrong with later ones, for people. */
  readonly damage: readonly string[];
}

/** Runs in a store. */
export interface RunStore {
  /**
   * Writes the record of a run that goes on, and a reserve of space beside it.
   * @throws KindredError RESOURCE_EXHAUSTED when there is none.
   */
  saveGoing(record: RunRecord): Promise<void>;
  /** Writes the record of a run that has ended or is paused; on a full disk, into the run's reserve. */
  saveResting(record: RunRecord): Promise<void>;
  saveCommit(runId: string, commit: Commit): Promise<void>;
  /** Deletes all checkpoints but those of the given keys (the commits stay: they hold the history). */
  keepCheckpoints(runId: string, keys: readonly string[]): Promise<void>;
  /** Ids of all runs. */
  listIds(): Promise<string[]>;
  /** Reads a run; gives back an ended one's reserve. @throws KindredError DATA_LOSS when its record is damaged. */
  load(runId: string): Promise<StoredRun>;
  /** Finds the last whole checkpoint of a run that is to go on, and forgets what lies after it. */
  loadWhole(runId: string): Promise<Omit<StoredRun, 'record'>>;
}

/** Room for a record when the disk is full, in bytes: a run that is paused must still be paused after a restart. */
const reserveSize = 65_536;
const endedStates: readonly RunState[] = ['succeeded', 'failed', 'cancelled'];

/** Makes the run store over an artifact store. */
export function createRunStore(artifacts: ArtifactStore): RunStore {
  const putJson = async (key: string, value: unknown): Promise<void> => {
    await artifacts.put(key, new TextEncoder().encode(JSON.stringify(value)));
  };
  const recordKey = (runId: string): string => runKey(runId, 'run.json');
  const reserveKey = (runId: string): string => runKey(runId, 'reserve');

  const loadCommits = async (runId: string): Promise<Omit<StoredRun, 'record'>> => {
    const commits: Commit[] = [];
    let events = 0;
    for await (const { key } of artifacts.list(runKey(runId, 'commits/'))) {
      const commit = await readJson(artifacts, key, isCommit);
      if (commit === null || commit.events[0]?.number !== events) {
        return { commits, damage: [`${key} is damaged; the history ends before it`] };
      }
      commits.push(commit);
      events += commit.events.length;
    }
    return { commits, damage: [] };
  };

  return {
    async saveGoing(record) {
      const { runId } = record.specification;
      // Random, since some file systems store zeros in no space.
      if ((await artifacts.describe(reserveKey(runId))) === null)
        await artifacts.put(reserveKey(runId), randomBytes(reserveSize));
      await putJson(recordKey(runId), record);
    },
    async saveResting(record) {
      const { runId } = record.specification;
      try {
        await putJson(recordKey(runId), record);
      } catch (thrown) {
        if (!isKindredError(thrown, 'RESOURCE_EXHAUSTED')) throw thrown;
        await artifacts.delete(reserveKey(runId));
        await putJson(recordKey(runId), record);
      }
      if (endedStates.includes(record.state)) await artifacts.delete(reserveKey(runId));
    },
    saveCommit: (runId, commit) => putJson(commitKey(runId, commit.checkpoint.stepsCompleted), commit),
    async keepCheckpoints(runId, keys) {
      for await (const { key } of artifacts.list(runKey(runId, 'checkpoints/'))) {
        if (!keys.includes(key)) await artifacts.delete(key);
      }
    },
    async listIds() {
      const ids: string[] = [];
      for await (const { key } of artifacts.list('runs/')) {
        const id = /^runs\/([^/]+)\/run\.json$/.exec(key)?.[1];
        if (id !== undefined) ids.push(id);
      }
      return ids;
    },
    async load(runId) {
      const record = await readJson(artifacts, recordKey(runId), isRunRecord);
      if (record !== null) {
        // The service may have died between the end's record and this.
        if (endedStates.includes(record.state)) await artifacts.delete(reserveKey(runId));
        return { record, ...(await loadCommits(runId)) };
      }
      throw new KindredError(
        'DATA_LOSS',
        `${recordKey(runId)} is damaged; the run is left aside. Put the file back, or delete the folder ${runKey(runId, '')}`,
        { resource: { type: 'run', name: runId } },
      );
    },
    async loadWhole(runId) {
      const { commits, damage } = await loadCommits(runId);
      const whole = [...commits];
      const faults = [...damage];
      for (let last = whole.at(-1); last !== undefined; last = whole.at(-1)) {
        const fault = await checkpointFault(artifacts, last);
        if (fault === null) break;
        faults.push(`checkpoint ${last.checkpoint.key} cannot be used (${fault}); going on from the one before it`);
        whole.pop();
      }
      const valid = whole.map(({ checkpoint }) => commitKey(runId, checkpoint.stepsCompleted));
      for await (const { key } of artifacts.list(runKey(runId, 'commits/'))) {
        if (!valid.includes(key)) await artifacts.delete(key);
      }
      return { commits: whole, damage: faults };
    },
  };
}

/** The events of commits, in order. */
export function eventsOf(commits: readonly Commit[]): RunEvent[] {
  return commits.flatMap(({ events }) => [...events]);
}

/** Reads JSON of a known form; null for anything else, a file cut short above all. */
async function readJson<T>(
  artifacts: ArtifactStore,
  key: string,
  isForm: (value: unknown) => value is T,
): Promise<T | null> {
  const text = new TextDecoder().decode(await artifacts.get(key));
  try {
    const value: unknown = JSON.parse(text);
    return isForm(value) ? value : null;
  } catch {
    return null;
  }
}

function isRunRecord(value: unknown): value is RunRecord {
  const { specification, state, tail } = (value ?? {}) as Partial<RunRecord>;
  return typeof specification?.runId === 'string' && typeof state === 'string' && Array.isArray(tail);
}

function isCommit(value: unknown): value is Commit {
  const { checkpoint, elapsed, events } = (value ?? {}) as Partial<Commit>;
  return typeof checkpoint?.sha256 === 'string' && typeof elapsed?.seconds === 'number' && Array.isArray(events);
}

/** What is wrong with a checkpoint; null: nothing. */
async function checkpointFault(artifacts: ArtifactStore, { checkpoint }: Commit): Promise<string | null> {
  try {
    await artifacts.get(checkpoint.key, checkpoint.sha256);
    return null;
  } catch (thrown) {
    if (isKindredError(thrown, 'DATA_LOSS') || isKindredError(thrown, 'NOT_FOUND')) return thrown.message;
    throw thrown;
  }
}
