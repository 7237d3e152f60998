// What a run is, as plain data: what was asked for, where it stands, what has happened.
import type { SerializedError } from '@kindred/errors';
import type { Experiment } from '@kindred/experiment';

/** Where a run stands. */
export type RunState = 'pending' | 'running' | 'succeeded' | 'failed' | 'cancelled';

/** What was asked for; never changes. */
export interface RunSpecification {
  readonly runId: string;
  readonly experiment: Experiment;
  /** Folder of the datasets, on the data-augmentation service's machine; empty: its first root. */
  readonly dataRoot: string;
  /** Seed of all chance: a whole number of 64 bits, as decimal text, since JSON's numbers do not reach so far. */
  readonly seed: string;
  readonly createTime: string;
}

/** What is kept of a run beside its epochs: `run.json`. */
export interface RunRecord {
  readonly specification: RunSpecification;
  readonly state: RunState;
  /** Processes that have worked on it. */
  readonly attempts: number;
  readonly failure: Pick<SerializedError, 'code' | 'message'> | null;
  /** Keys of what it has written, once succeeded. */
  readonly artifacts: readonly string[];
  readonly updateTime: string;
  /** For an ended run: its events after the last epoch record. */
  readonly tail: readonly RunEvent[];
}

/** Something that happened; see the contract for the meaning of each field. */
export type RunEventBody =
  | {
      readonly kind: 'started';
      readonly trainSize: number;
      readonly validationSize: number;
      readonly stepsPerEpoch: number;
      readonly epochs: number;
      readonly parameterCount: number;
      readonly device: string;
    }
  | {
      readonly kind: 'step';
      readonly epoch: number;
      readonly step: number;
      readonly loss: number;
      readonly learningRate: number;
      readonly pairsPerSecond: number;
      readonly dataWaitFraction: number;
    }
  | { readonly kind: 'knn'; readonly epochsTrained: number; readonly top1: number; readonly seconds: number }
  | {
      readonly kind: 'epoch';
      readonly epoch: number;
      readonly meanLoss: number;
      readonly seconds: number;
      readonly pairsPerSecond: number;
      readonly dataWaitFraction: number;
      readonly residentBytes: number;
      readonly tensorCount: number;
    }
  | { readonly kind: 'checkpoint'; readonly epochsCompleted: number; readonly key: string; readonly sha256: string }
  | { readonly kind: 'ended'; readonly state: RunState; readonly failure: RunRecord['failure'] };

/** A {@link RunEventBody} in its place in the run's history. */
export interface RunEvent {
  readonly number: number;
  readonly time: string;
  readonly body: RunEventBody;
}

/** Something that the user should know now; no part of the history. */
export interface Notice {
  readonly time: string;
  readonly message: string;
}

/** A checkpoint with the events that lead to it: `epochs/00003.json`. */
export interface EpochRecord {
  readonly epochsCompleted: number;
  /** Steps over all epochs. */
  readonly stepsCompleted: number;
  /** Key and hash of the state. */
  readonly key: string;
  readonly sha256: string;
  /** Events since the epoch record before. */
  readonly events: readonly RunEvent[];
}

/** Key of a run's object, e.g. `runs/r1/model.safetensors`. */
export function runKey(runId: string, name: string): string {
  return `runs/${runId}/${name}`;
}

/** Key of the state after `epochsCompleted` epochs. */
export function checkpointKey(runId: string, epochsCompleted: number): string {
  return runKey(runId, `checkpoints/${String(epochsCompleted).padStart(5, '0')}.safetensors`);
}

/** Key of the {@link EpochRecord} after `epochsCompleted` epochs. */
export function epochKey(runId: string, epochsCompleted: number): string {
  return runKey(runId, `epochs/${String(epochsCompleted).padStart(5, '0')}.json`);
}
