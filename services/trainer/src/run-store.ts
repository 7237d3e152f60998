// Runs in the artifact store: the record of each, its commits, and which of its checkpoints are whole.
import { randomBytes } from 'node:crypto';
import { KindredError, isKindredError } from '@kindred/errors';
import type { ArtifactDescription, ArtifactStore } from '@kindred/artifact-store';
import { createPodEnds, type PodEnd } from './pod-ends.js';
import { commitKey, runKey, type Commit, type RunEvent, type RunRecord, type RunState } from './run.js';

/** A run as it was found in the store. */
export interface StoredRun {
  readonly record: RunRecord;
  /** Its commits in order, as far as they can be read. */
  readonly commits: readonly Commit[];
  /** What is wrong with later ones, for people. */
  readonly damage: readonly string[];
  /** How its pods have ended. @default none is known */
  readonly podEnds?: readonly PodEnd[];
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
  /** The whole commits in order after that of `stepsCompleted` steps, of a run that another process works on. */
  loadCommits(runId: string, stepsCompleted: number): Promise<readonly Commit[]>;
  /**
   * Deletes the checkpoints before the newest of the given keys, but those of the keys (the commits stay: they hold the
   * history). Newer ones belong to commits that the run has not come back to.
   */
  keepCheckpoints(runId: string, keys: readonly string[]): Promise<void>;
  /** Ids of all runs. */
  listIds(): Promise<string[]>;
  /** Reads a run's record and nothing else of it. @throws KindredError DATA_LOSS when it is damaged. */
  loadRecord(runId: string): Promise<RunRecord>;
  /** Reads a run; gives back an ended one's reserve. @throws KindredError DATA_LOSS when its record is damaged. */
  load(runId: string): Promise<StoredRun>;
  /**
   * Finds the last whole checkpoint, with the whole history before it, of a run that is to go on. What is damaged after
   * it is renamed to `*.damaged`, of which a run keeps the last few; what is whole stays.
   * @throws KindredError DATA_LOSS, with nothing changed, when there are commits but no such checkpoint.
   */
  loadWhole(runId: string): Promise<Omit<StoredRun, 'record' | 'podEnds'>>;
}

/** Room for a record when the disk is full, in bytes: a run that is paused must still be paused after a restart. */
const reserveSize = 65_536;
/** What a run keeps of files that were set aside as damaged: this many, the newest, for this long. */
const keptDamaged = { files: 8, milliseconds: 30 * 24 * 3_600_000 } as const;
const damagedSuffix = '.damaged';
const endedStates: readonly RunState[] = ['succeeded', 'failed', 'cancelled'];

/** Makes the run store over an artifact store. */
export function createRunStore(artifacts: ArtifactStore): RunStore {
  const putJson = async (key: string, value: unknown): Promise<void> => {
    await artifacts.put(key, new TextEncoder().encode(JSON.stringify(value)));
  };
  const recordKey = (runId: string): string => runKey(runId, 'run.json');
  const reserveKey = (runId: string): string => runKey(runId, 'reserve');

  const podEnds = createPodEnds(artifacts);

  const setAside = async (key: string): Promise<void> => {
    if ((await artifacts.describe(key)) === null) return;
    await artifacts.put(key + damagedSuffix, artifacts.read(key));
    await artifacts.delete(key);
  };

  const dropOldDamaged = async (runId: string): Promise<void> => {
    const found: ArtifactDescription[] = [];
    for (const folder of ['checkpoints/', 'commits/']) {
      for await (const object of artifacts.list(runKey(runId, folder))) {
        if (object.key.endsWith(damagedSuffix)) found.push(object);
      }
    }
    found.sort((a, b) => b.modifyTime.getTime() - a.modifyTime.getTime());
    const oldest = Date.now() - keptDamaged.milliseconds;
    for (const [place, { key, modifyTime }] of found.entries()) {
      if (place >= keptDamaged.files || modifyTime.getTime() < oldest) await artifacts.delete(key);
    }
  };

  const loadRecord = async (runId: string): Promise<RunRecord> => {
    const record = await readJson(artifacts, recordKey(runId), isRunRecord);
    if (record !== null) return record;
    throw new KindredError(
      'DATA_LOSS',
      `${recordKey(runId)} is damaged; the run is left aside. Put the file back, or delete the folder ${runKey(runId, '')}`,
      { resource: { type: 'run', name: runId } },
    );
  };

  return {
    loadRecord,
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
    async loadCommits(runId, stepsCompleted) {
      const commits: Commit[] = [];
      const last = commitKey(runId, Math.max(0, stepsCompleted));
      for await (const { key } of artifacts.list(runKey(runId, 'commits/'))) {
        if (!key.endsWith('.json') || (stepsCompleted >= 0 && key <= last)) continue;
        const commit = await readJson(artifacts, key, isCommit);
        // It is damaged: nothing that follows it joins the history.
        if (commit === null) break;
        commits.push(commit);
      }
      return commits;
    },
    async keepCheckpoints(runId, keys) {
      const newest = [...keys].sort().at(-1) ?? '';
      for await (const { key } of artifacts.list(runKey(runId, 'checkpoints/'))) {
        // Steps are written with the same number of digits: keys sort by them.
        if (key < newest && key.endsWith('.safetensors') && !keys.includes(key)) await artifacts.delete(key);
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
      const record = await loadRecord(runId);
      // The service may have died between the end's record and this.
      if (endedStates.includes(record.state)) await artifacts.delete(reserveKey(runId));
      await dropOldDamaged(runId);
      const { chain, rest } = await readCommits(artifacts, runId);
      const damage = rest[0] === undefined ? [] : [`${faultOf(rest[0])}; the history ends before it`];
      return { record, commits: chain.map(({ commit }) => commit), damage, podEnds: await podEnds.list(runId) };
    },
    async loadWhole(runId) {
      const { chain, rest } = await readCommits(artifacts, runId);
      const damage = rest[0] === undefined ? [] : [`${faultOf(rest[0])}; the history ends before it`];
      const unusable: FoundCommit[] = [];
      for (let last = chain.at(-1); last !== undefined; last = chain.at(-1)) {
        const fault = await checkpointFault(artifacts, last.commit);
        if (fault === null) break;
        damage.push(`checkpoint ${last.commit.checkpoint.key} cannot be used (${fault})`);
        unusable.push(last);
        chain.pop();
      }
      const base = chain.at(-1);
      if (base !== undefined) {
        for (const { key, commit } of unusable) {
          await setAside(commit.checkpoint.key);
          await setAside(key);
        }
        for (const { key, commit } of rest) if (commit === null) await setAside(key);
        await dropOldDamaged(runId);
        if (damage.length > 0) damage.push(`going on from ${base.commit.checkpoint.key}; what is damaged is *.damaged`);
      } else if (damage.length > 0) {
        throw new KindredError(
          'DATA_LOSS',
          `run '${runId}' has no checkpoint to go on from with its whole history: ${damage.join('; ')}. It is left aside and ` +
            `nothing of it is deleted. Put the damaged files back, or start a run under another id`,
          { resource: { type: 'run', name: runId } },
        );
      }
      return { commits: chain.map(({ commit }) => commit), damage };
    },
  };
}

interface FoundCommit {
  readonly key: string;
  readonly commit: Commit;
}

interface FoundCommits {
  /** Whole commits from the run's first event on, each of which follows the one before. */
  readonly chain: FoundCommit[];
  /** Those from the first that breaks the chain on; null: damaged. Whole ones join it again once the run has come back to them. */
  readonly rest: readonly { readonly key: string; readonly commit: Commit | null }[];
}

/** Reads the commits of a run in order, and judges each by itself. */
async function readCommits(artifacts: ArtifactStore, runId: string): Promise<FoundCommits> {
  const chain: FoundCommit[] = [];
  const rest: { key: string; commit: Commit | null }[] = [];
  let events = 0;
  for await (const { key } of artifacts.list(runKey(runId, 'commits/'))) {
    if (!key.endsWith('.json')) continue;
    const read = await readJson(artifacts, key, isCommit);
    const commit = read !== null && commitKey(runId, read.checkpoint.stepsCompleted) === key ? read : null;
    if (rest.length > 0 || commit?.events[0]?.number !== events) {
      rest.push({ key, commit });
    } else {
      chain.push({ key, commit });
      events += commit.events.length;
    }
  }
  return { chain, rest };
}

/** What is wrong with the first commit that breaks the chain. */
function faultOf({ key, commit }: FoundCommits['rest'][number]): string {
  return commit === null ? `${key} is damaged` : `${key} does not follow the commit before it, which is missing`;
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
