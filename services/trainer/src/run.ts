// What a run is, as plain data: what was asked for, where it stands, what has happened.
import type { ErrorCode } from '@kindred/errors';
import type { Experiment } from '@kindred/experiment';
import type { TensorFlowOptions } from '@kindred/tensorflow-native';
import type { LinearProbeResult } from './linear-probe.js';

/** Where a run stands. */
export type RunState = 'pending' | 'running' | 'paused' | 'succeeded' | 'failed' | 'cancelled';

/** Why a run failed, or is paused. */
export interface RunFailure {
  readonly code: ErrorCode;
  readonly message: string;
  /** Steps that had ended well; null where no step was tried. */
  readonly stepsCompleted: number | null;
  /** Key of the last good checkpoint; empty: none. */
  readonly checkpoint: string;
}

/** What was asked for; never changes. */
export interface RunSpecification {
  readonly runId: string;
  readonly experiment: Experiment;
  /** Folder of the datasets, on the data-augmentation service's machine; empty: its first root. */
  readonly dataRoot: string;
  /** Seed of all chance: a whole number of 64 bits, as decimal text, since JSON's numbers do not reach so far. */
  readonly seed: string;
  readonly createTime: string;
  /** What it asks a cluster for; absent: what the template of its Job says, or no Job at all. */
  readonly resources?: RunResources;
}

/** What a run asks a cluster for. Empty and 0: as the template of its Job says. */
export interface RunResources {
  /** Name of the extended resource, e.g. `nvidia.com/gpu` or `nvidia.com/mig-1g.10gb`; `none`: none, whatever the template has. */
  readonly accelerator: string;
  readonly acceleratorCount: number;
  /** In thousandths of a core. */
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  /** Name of a PriorityClass. */
  readonly priorityClass: string;
}

/** What is kept of a run beside its commits: `run.json`. */
export interface RunRecord {
  readonly specification: RunSpecification;
  readonly state: RunState;
  /** Processes that have worked on it. */
  readonly attempts: number;
  /** For a failed or paused run. */
  readonly failure: RunFailure | null;
  /** Keys of what it has written, once succeeded. */
  readonly artifacts: readonly string[];
  readonly updateTime: string;
  /** For an ended run: its events after the last commit. */
  readonly tail: readonly RunEvent[];
  /** The Job that works on it, and the pod that was the last to; absent where runs are no Jobs. */
  readonly work?: RunWork;
  /** Whether it is being cancelled: said once, it holds over a restart of the service. Absent: it is not. */
  readonly cancelling?: boolean;
}

/** Who works on a run in a cluster. */
export interface RunWork {
  /** Uid of the Job. */
  readonly job: string;
  /** Uid of its last pod that ran; empty: none has yet. */
  readonly pod: string;
}

/** A state in the artifact store. */
export interface CheckpointDescription {
  readonly epochsCompleted: number;
  /** Steps over all epochs. */
  readonly stepsCompleted: number;
  readonly key: string;
  /** Of its content, lower-case hexadecimal. */
  readonly sha256: string;
  /** kNN top-1 of exactly this state in percent; null in the middle of an epoch. */
  readonly knnTop1: number | null;
  /** Whether that is the best so far. */
  readonly best: boolean;
}

/** Time spent on the epoch under way. Measured, so no part of a checkpoint's content. */
export interface Elapsed {
  /** In steps. */
  readonly seconds: number;
  /** Of these, waiting for data. */
  readonly waitedSeconds: number;
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
      readonly limitSteps: number;
    }
  | {
      readonly kind: 'step';
      readonly epoch: number;
      readonly step: number;
      readonly loss: number;
      readonly learningRate: number;
      readonly pairsPerSecond: number;
      readonly dataWaitFraction: number;
      readonly dataWaitSeconds: number;
    }
  | {
      readonly kind: 'knn';
      readonly epochsTrained: number;
      readonly top1: number;
      readonly seconds: number;
      /** Absent unless asked for. */
      readonly backboneTop1?: number;
    }
  | ({ readonly kind: 'linear-probe'; readonly epochsTrained: number; readonly seconds: number } & LinearProbeResult)
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
  | ({ readonly kind: 'checkpoint' } & CheckpointDescription)
  | {
      readonly kind: 'stopped';
      readonly reason: 'limit-steps' | 'early-stop';
      readonly stepsCompleted: number;
      readonly bestKnnTop1: number | null;
      readonly bestEpochsTrained: number;
      readonly message: string;
    }
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

/** A checkpoint to go on from. */
export interface Checkpointed {
  readonly checkpoint: CheckpointDescription;
  readonly elapsed: Elapsed;
  /** What TensorFlow was started with, which decides on the bits of the result; absent in older commits. */
  readonly tensorFlow?: TensorFlowOptions;
}

/** What makes a checkpoint count, with the events that lead to it: `commits/000000000042.json`. */
export interface Commit extends Checkpointed {
  /** Events since the commit before. */
  readonly events: readonly RunEvent[];
}

/** Key of a run's object, e.g. `runs/r1/model.safetensors`. */
export function runKey(runId: string, name: string): string {
  return `runs/${runId}/${name}`;
}

/** Key of the state after `stepsCompleted` steps of the run. */
export function checkpointKey(runId: string, stepsCompleted: number): string {
  return runKey(runId, `checkpoints/${String(stepsCompleted).padStart(12, '0')}.safetensors`);
}

/** Key of the {@link Commit} after `stepsCompleted` steps of the run. */
export function commitKey(runId: string, stepsCompleted: number): string {
  return runKey(runId, `commits/${String(stepsCompleted).padStart(12, '0')}.json`);
}
