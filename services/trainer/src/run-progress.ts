// What crosses between a run's pod and the trainer beside commits: the events since the last one, and how the pod's work ended.
import type { ArtifactStore } from '@kindred/artifact-store';
import {
  deserializeError,
  isKindredError,
  serializeError,
  type KindredError,
  type SerializedError,
} from '@kindred/errors';
import { runKey, type Notice, type RunEvent } from './run.js';

/** What a pod has to tell now: `live.json`, replaced every few seconds. */
export interface LiveProgress {
  /** Uid of the Job and of the pod that say it. */
  readonly job: string;
  readonly pod: string;
  /** Events that are stored in commits. */
  readonly committedEvents: number;
  /** Those after them. */
  readonly events: readonly RunEvent[];
  /** The latest, oldest first. */
  readonly notices: readonly Notice[];
  /** Notices so far, with those that are no longer among `notices`. */
  readonly noticeCount: number;
}

/** How the work of a Job ended: `outcome.json`. */
export type RunOutcome = { readonly job: string; readonly pod: string } & (
  | { readonly kind: 'done'; readonly artifacts: readonly string[] }
  | { readonly kind: 'failed'; readonly error: SerializedError; readonly stepsCompleted: number | null }
);

/** Reads and writes both in a store. */
export interface RunProgress {
  /** Null: there is none, or a damaged one. */
  readLive(runId: string): Promise<LiveProgress | null>;
  writeLive(runId: string, live: LiveProgress): Promise<void>;
  readOutcome(runId: string): Promise<RunOutcome | null>;
  writeOutcome(runId: string, outcome: RunOutcome): Promise<void>;
  /** Removes both: the run is over, or a new Job begins. */
  remove(runId: string): Promise<void>;
}

/** The outcome of an error. */
export function failedOutcome(thrown: unknown, stepsCompleted: number | null) {
  return { kind: 'failed' as const, error: serializeError(thrown), stepsCompleted };
}

/** The error of an outcome. */
export function errorOf({ error }: Extract<RunOutcome, { kind: 'failed' }>): KindredError {
  return deserializeError(error);
}

/** Makes it over a store. */
export function createRunProgress(artifacts: ArtifactStore): RunProgress {
  const liveKey = (runId: string): string => runKey(runId, 'live.json');
  const outcomeKey = (runId: string): string => runKey(runId, 'outcome.json');
  const write = async (key: string, value: unknown): Promise<void> => {
    await artifacts.put(key, new TextEncoder().encode(JSON.stringify(value)));
  };
  const read = async <T extends { readonly job: string }>(key: string): Promise<T | null> => {
    try {
      const value = JSON.parse(new TextDecoder().decode(await artifacts.get(key))) as T;
      return typeof value.job === 'string' ? value : null;
    } catch (thrown) {
      if (thrown instanceof SyntaxError || isKindredError(thrown, 'NOT_FOUND')) return null;
      throw thrown;
    }
  };
  return {
    readLive: (runId) => read<LiveProgress>(liveKey(runId)),
    writeLive: (runId, live) => write(liveKey(runId), live),
    readOutcome: (runId) => read<RunOutcome>(outcomeKey(runId)),
    writeOutcome: (runId, outcome) => write(outcomeKey(runId), outcome),
    async remove(runId) {
      for (const key of [liveKey(runId), outcomeKey(runId)]) {
        if ((await artifacts.describe(key)) !== null) await artifacts.delete(key);
      }
    },
  };
}
