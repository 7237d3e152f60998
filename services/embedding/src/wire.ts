// Wire ↔ domain: feature kinds, models, dataset jobs.
import { Split } from '@kindred/protocol/augmentation';
import {
  FeatureKind as WireFeatureKind,
  JobState as WireJobState,
  type EmbedDatasetJob,
  type Model,
} from '@kindred/protocol/embedding';
import type { Job, JobState } from '@kindred/service-runtime';
import type { DatasetEmbeddingProgress } from './dataset-embedding.js';
import type { FeatureKind } from './encoder.worker.js';
import type { ModelDescription } from './model-registry.js';

const states: Record<JobState, WireJobState> = {
  running: WireJobState.RUNNING,
  succeeded: WireJobState.SUCCEEDED,
  failed: WireJobState.FAILED,
  cancelled: WireJobState.CANCELLED,
};

const splitTexts: Record<Split, string> = {
  [Split.UNSPECIFIED]: 'train',
  [Split.TRAIN]: 'train',
  [Split.VALIDATION]: 'validation',
  [Split.UNLABELED]: 'unlabeled',
  [Split.TRAIN_AND_UNLABELED]: 'train-and-unlabeled',
};

/** Reads a feature kind; not given is the embedding. */
export function featureKindFromWire(kind: WireFeatureKind): FeatureKind {
  return kind === WireFeatureKind.BACKBONE ? 'backbone' : 'embedding';
}

/** The inverse of {@link featureKindFromWire}. */
export function featureKindToWire(kind: FeatureKind): WireFeatureKind {
  return kind === 'backbone' ? WireFeatureKind.BACKBONE : WireFeatureKind.EMBEDDING;
}

/** The split as part of an artifact's key. */
export function splitText(split: Split): string {
  return splitTexts[split] ?? 'train';
}

/** A model for a caller. */
export function modelToWire(model: ModelDescription): Model {
  return { ...model };
}

/** A job for a caller. */
export function jobToWire({ id, state, progress, error, createTime }: Job<DatasetEmbeddingProgress>): EmbedDatasetJob {
  return {
    jobId: id,
    state: states[state],
    ...progress,
    errorCode: error?.code ?? '',
    errorMessage: error?.message ?? '',
    createTime,
  };
}
