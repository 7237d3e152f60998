// Runs in the artifact store: the record of each, its epochs, and which of its checkpoints are whole.
import { isKindredError } from '@kindred/errors';
import type { ArtifactStore } from '@kindred/artifact-store';
import { checkpointKey, epochKey, runKey, type EpochRecord, type RunEvent, type RunRecord } from './run.js';

/** A run as it was found in the store. */
export interface StoredRun {
  readonly record: RunRecord;
  /** Events up to the checkpoint to go on from. */
  readonly events: readonly RunEvent[];
  /** The checkpoint to go on from; null: from the beginning. */
  readonly checkpoint: EpochRecord | null;
  /** What is wrong with later checkpoints, for people. */
  readonly damage: readonly string[];
}

/** Runs in a store. */
export interface RunStore {
  saveRecord(record: RunRecord): Promise<void>;
  saveEpoch(runId: string, epoch: EpochRecord): Promise<void>;
  /** Deletes all but the last `keep` checkpoints (their epoch records stay: they hold the history). */
  dropOldCheckpoints(runId: string, epochsCompleted: number, keep: number): Promise<void>;
  /** Ids of all runs. */
  listIds(): Promise<string[]>;
  /** Reads a run. For one that must go on, finds its last whole checkpoint and forgets what lies after it. */
  load(runId: string): Promise<StoredRun>;
}

/** Makes the run store over an artifact store. */
export function createRunStore(artifacts: ArtifactStore): RunStore {
  const putJson = async (key: string, value: unknown): Promise<void> => {
    await artifacts.put(key, new TextEncoder().encode(JSON.stringify(value)));
  };
  const getJson = async <T>(key: string): Promise<T> =>
    JSON.parse(new TextDecoder().decode(await artifacts.get(key))) as T;

  const loadEpochs = async (runId: string): Promise<EpochRecord[]> => {
    const epochs: EpochRecord[] = [];
    for (;;) {
      const key = epochKey(runId, epochs.length + 1);
      if ((await artifacts.describe(key)) === null) return epochs;
      epochs.push(await getJson<EpochRecord>(key));
    }
  };

  return {
    saveRecord: (record) => putJson(runKey(record.specification.runId, 'run.json'), record),
    saveEpoch: (runId, epoch) => putJson(epochKey(runId, epoch.epochsCompleted), epoch),
    async dropOldCheckpoints(runId, epochsCompleted, keep) {
      for (let epoch = epochsCompleted - keep; epoch > 0; epoch--) {
        const key = checkpointKey(runId, epoch);
        if ((await artifacts.describe(key)) === null) return;
        await artifacts.delete(key);
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
      const record = await getJson<RunRecord>(runKey(runId, 'run.json'));
      const epochs = await loadEpochs(runId);
      const damage: string[] = [];
      while (record.state !== 'succeeded' && epochs.length > 0) {
        const last = epochs[epochs.length - 1] as EpochRecord;
        const fault = await checkpointFault(artifacts, last);
        if (fault === null) break;
        damage.push(`checkpoint ${last.key} cannot be used (${fault}); going on from the one before it`);
        epochs.pop();
        await artifacts.delete(epochKey(runId, last.epochsCompleted));
        await artifacts.delete(last.key);
      }
      const events = [...epochs.flatMap((epoch) => epoch.events), ...record.tail];
      return { record, events, checkpoint: epochs.at(-1) ?? null, damage };
    },
  };
}

/** What is wrong with a checkpoint; null: nothing. */
async function checkpointFault(artifacts: ArtifactStore, epoch: EpochRecord): Promise<string | null> {
  try {
    await artifacts.get(epoch.key, epoch.sha256);
    return null;
  } catch (thrown) {
    if (isKindredError(thrown, 'DATA_LOSS') || isKindredError(thrown, 'NOT_FOUND')) return thrown.message;
    throw thrown;
  }
}
