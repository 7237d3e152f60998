// Wire ↔ domain: feature kinds, models, dataset jobs.
import { invalidField } from '@kindred/errors';
import { Split } from '@kindred/protocol/augmentation';
import {
  FeatureKind as WireFeatureKind,
  JobState as WireJobState,
  type EmbedDatasetJob,
  type EmbedRequest,
  type EmbedResponse,
  type GetInfoResponse,
  type Model,
} from '@kindred/protocol/embedding';
import { bytesOf, type Job, type JobState } from '@kindred/service-runtime';
import type { DatasetEmbeddingProgress } from './dataset-embedding.js';
import type { EmbedImagesResult, FeatureKind } from './embed-images.js';
import { background } from './images/background.js';
import type { ImageBatch } from './images/image-batch.js';
import { imageKinds } from './images/image-kind.js';
import type { ModelDescription } from './models/served-models.js';
import { publicError } from './public-error.js';
import type { ServiceInfo } from './service-info.js';

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

/**
 * Reads a feature kind; not given is the embedding.
 * @throws KindredError INVALID_ARGUMENT for a number that names none: a caller of a later contract must not get another vector.
 */
export function featureKindFromWire(kind: WireFeatureKind): FeatureKind {
  switch (kind) {
    case WireFeatureKind.UNSPECIFIED:
    case WireFeatureKind.EMBEDDING:
      return 'embedding';
    case WireFeatureKind.BACKBONE:
      return 'backbone';
    default:
      throw invalidField(
        'feature_kind',
        `got ${Number(kind)}; allowed: FEATURE_KIND_EMBEDDING (1), FEATURE_KIND_BACKBONE (2)`,
      );
  }
}

/** The model that a request names. @throws KindredError INVALID_ARGUMENT, by `field`, where it names none. */
export function modelFromWire(model: string, field: string): string {
  if (model !== '') return model;
  throw invalidField(field, 'got nothing; needed: a model as NAME, NAME@VERSION or NAME@ALIAS (ListModels lists them)');
}

/** The split as part of an artifact's key. */
export function splitText(split: Split): string {
  return splitTexts[split] ?? 'train';
}

/** A model for a caller. */
export function modelToWire(model: ModelDescription): Model {
  const { name, version, aliases, sha256, loaded, servingVersion, loadError } = model;
  const { embeddingDimension, backboneDimension, cropSize, resizeSide, memoryBytes } = model;
  return {
    ...{ name, version, sha256, loaded, loadError, embeddingDimension, backboneDimension, cropSize },
    aliases: [...aliases],
    resizeSide: resizeSide ?? 0,
    servingVersion: servingVersion === version ? '' : servingVersion,
    memoryBytes: BigInt(memoryBytes),
  };
}

const rawFields = { count: 'raw.count', height: 'raw.height', width: 'raw.width', pixels: 'raw.pixels' };

/** The images of a request. @throws KindredError INVALID_ARGUMENT where there are none. */
export function imageBatchFromWire({ images }: EmbedRequest): ImageBatch {
  switch (images?.$case) {
    case 'encoded':
      return {
        kind: 'encoded',
        images: images.value.images,
        field: 'encoded.images',
        nameOf: (index) => ({ field: `encoded.images[${index}]` }),
      };
    case 'raw':
      return { kind: 'raw', ...images.value, fields: rawFields };
    case undefined:
      throw invalidField('images', 'got nothing; allowed: exactly one of encoded, raw');
  }
}

/** Vectors for a caller, of the one kind that was asked for. */
export function embedResultToWire(result: EmbedImagesResult): EmbedResponse {
  const { tables, count, model, version, faults, queueMs, preprocessMs, inferenceMs } = result;
  const [table] = tables;
  return {
    ...{ count, dimension: table?.dimension ?? 0, model },
    vectors: bytesOf(table?.vectors ?? new Float32Array(0)),
    modelVersion: version,
    errors: faults.map(({ index, error: { code, message } }) => ({ index, code, message })),
    timing: {
      queueUs: microseconds(queueMs),
      preprocessUs: microseconds(preprocessMs),
      inferenceUs: microseconds(inferenceMs),
    },
  };
}

/** Milliseconds as whole microseconds. */
export function microseconds(milliseconds: number): bigint {
  return BigInt(Math.round(milliseconds * 1000));
}

/** Limits and loaded models for a caller. */
export function infoToWire(info: ServiceInfo, models: readonly ModelDescription[], device: string): GetInfoResponse {
  const { maxImages, maxSide, maxStreamRequests, decodingThreads, maxJobs } = info;
  return {
    ...{ maxImages, maxSide, maxStreamRequests, decodingThreads, maxJobs, device },
    maxImagePixels: BigInt(info.maxImagePixels),
    maxRequestPixels: BigInt(info.maxRequestPixels),
    maxMessageBytes: BigInt(info.maxMessageBytes),
    maxBatch: info.batchSizes.at(-1) ?? 1,
    batchSizes: [...info.batchSizes],
    maxDelayUs: microseconds(info.maxDelayMs),
    maxQueueImages: info.maxDepth,
    maxQueueBytes: BigInt(info.maxQueuedBytes),
    formats: [...imageKinds],
    background: [background.r, background.g, background.b],
    maxModelBytes: BigInt(info.maxModelBytes),
    maxCacheBytes: BigInt(info.maxCacheBytes),
    models: models.map(modelToWire),
  };
}

/** A job for a caller. */
export function jobToWire({ id, state, progress, error, createTime }: Job<DatasetEmbeddingProgress>): EmbedDatasetJob {
  const shown = error === null ? null : publicError(error);
  return {
    jobId: id,
    state: states[state],
    ...progress,
    errorCode: shown?.code ?? '',
    errorMessage: shown?.message ?? '',
    createTime,
  };
}
