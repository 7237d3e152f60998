// What a training process is given, and what it works with.
import type { ArtifactStore } from '@kindred/artifact-store';
import type { TensorFlowOptions } from '@kindred/tensorflow-native';
import type { BatchReader } from './batch-reader.js';
import type { Checkpointed, RunEventBody, RunSpecification } from './run.js';
import type { SeenDataset } from './seen-datasets.js';

/** What a training process is given. */
export interface TrainingJob {
  readonly specification: RunSpecification;
  /** Where to go on; null: from the beginning. */
  readonly checkpoint: Checkpointed | null;
  /** How the training process starts TensorFlow. */
  readonly tensorFlow: TensorFlowOptions;
}

/** What a training process works with. */
export interface TrainingSurroundings {
  readonly reader: BatchReader;
  /** The datasets that it has read so far. */
  seenDatasets(): SeenDataset[];
  readonly artifacts: ArtifactStore;
  readonly signal: AbortSignal;
  /** Reports an event. */
  emit(event: RunEventBody): void;
  /** Tells the user what is no part of the history. */
  notify(message: string): void;
  /** Reports a checkpoint; resolves once the event history up to it is stored. */
  commit(checkpointed: Checkpointed): Promise<void>;
  /** Reports how many steps of the run have ended well. */
  onStep(stepsCompleted: number): void;
}
