// Wire ↔ domain, in pairs: dataset references with their splits, transformations, descriptions.
import type { ResolvedSimclrOptions } from '@kindred/augmentation';
import { datasetNames, drawnMaxCount } from '@kindred/datasets';
import { invalidField } from '@kindred/errors';
import {
  Split as WireSplit,
  type DatasetDescription,
  type DatasetReference,
  type SimclrTransformation as WireSimclr,
  type Transformation as WireTransformation,
} from '@kindred/protocol/augmentation';
import type { DatasetKey, SplitName } from './dataset-key.js';
import type { OpenDataset } from './open-dataset.js';
import type { Transformation } from './transformation.js';

/** Largest side of a view in pixels. */
export const maxViewSide = 1024;

const splitNames: Record<WireSplit, SplitName> = {
  [WireSplit.UNSPECIFIED]: 'train',
  [WireSplit.TRAIN]: 'train',
  [WireSplit.VALIDATION]: 'validation',
  [WireSplit.UNLABELED]: 'unlabeled',
  [WireSplit.TRAIN_AND_UNLABELED]: 'train+unlabeled',
};

const wireSplits: Record<SplitName, WireSplit> = {
  train: WireSplit.TRAIN,
  validation: WireSplit.VALIDATION,
  unlabeled: WireSplit.UNLABELED,
  'train+unlabeled': WireSplit.TRAIN_AND_UNLABELED,
};

/** Reads a reference; its root is as the caller wrote it. INVALID_ARGUMENT when it is missing or its split unknown. */
export function datasetKeyFromWire(reference: DatasetReference | undefined): DatasetKey {
  if (reference === undefined || reference.name === '') {
    throw invalidField('dataset.name', `got nothing; allowed: ${datasetNames.join(', ')}`);
  }
  const split = splitNames[reference.split];
  if (split === undefined) throw invalidField('dataset.split', `got ${String(reference.split)}; allowed: 0 to 4`);
  const { root, drawnSize, drawnSeed } = reference;
  if (drawnSeed > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw invalidField('dataset.drawn_seed', `got ${drawnSeed}; allowed: 0 to ${Number.MAX_SAFE_INTEGER}`);
  }
  if (drawnSize > drawnMaxCount) {
    throw invalidField('dataset.drawn_size', `got ${drawnSize}; allowed: 0 to ${drawnMaxCount}`);
  }
  return { name: reference.name, split, root, drawnSize, drawnSeed: Number(drawnSeed) };
}

/** The inverse of {@link datasetKeyFromWire}. */
export function datasetKeyToWire(key: DatasetKey): DatasetReference {
  const { name, split, root, drawnSize, drawnSeed } = key;
  return { name, split: wireSplits[split], root, drawnSize, drawnSeed: BigInt(drawnSeed) };
}

/** The description of an open dataset. */
export function descriptionToWire(key: DatasetKey, dataset: OpenDataset): DatasetDescription {
  return {
    dataset: datasetKeyToWire(key),
    size: dataset.size,
    height: dataset.height ?? 0,
    width: dataset.width ?? 0,
    classNames: [...dataset.classNames],
    contentSha256: dataset.contentHash,
  };
}

/** Reads a transformation. INVALID_ARGUMENT names the field that is out of range. */
export function transformationFromWire(transformation: WireTransformation | undefined): Transformation {
  const kind = transformation?.kind;
  switch (kind?.$case) {
    case 'simclr':
      return { kind: 'simclr', options: simclrFromWire(kind.value) };
    case 'evaluation':
      return { kind: 'evaluation', cropSize: side('transformation.evaluation.crop_size', kind.value.cropSize) };
    case undefined:
      throw invalidField('transformation', 'got nothing; allowed: exactly one of simclr, evaluation');
  }
}

/** The inverse of {@link transformationFromWire}. */
export function transformationToWire(transformation: Transformation): WireTransformation {
  if (transformation.kind === 'evaluation') {
    return { kind: { $case: 'evaluation', value: { cropSize: transformation.cropSize } } };
  }
  const { minArea, maxArea, ...others } = transformation.options;
  return { kind: { $case: 'simclr', value: { ...others, minScale: minArea, maxScale: maxArea } } };
}

function simclrFromWire(value: WireSimclr): ResolvedSimclrOptions {
  const name = (field: string): string => `transformation.simclr.${field}`;
  const maxArea = within(name('max_scale'), value.maxScale, Number.MIN_VALUE, 1, 'above 0, up to 1');
  return {
    size: side(name('size'), value.size),
    minArea: within(
      name('min_scale'),
      value.minScale,
      Number.MIN_VALUE,
      maxArea,
      `above 0, up to max_scale (${maxArea})`,
    ),
    maxArea,
    jitterProbability: within(name('jitter_probability'), value.jitterProbability, 0, 1, '0 to 1'),
    brightness: within(name('brightness'), value.brightness, 0, Number.MAX_VALUE, '0 or more, finite'),
    contrast: within(name('contrast'), value.contrast, 0, Number.MAX_VALUE, '0 or more, finite'),
    saturation: within(name('saturation'), value.saturation, 0, Number.MAX_VALUE, '0 or more, finite'),
    hue: within(name('hue'), value.hue, 0, 0.5, '0 to 0.5'),
    grayscaleProbability: within(name('grayscale_probability'), value.grayscaleProbability, 0, 1, '0 to 1'),
  };
}

function side(field: string, value: number): number {
  return within(field, value, 1, maxViewSide, `1 to ${maxViewSide}`);
}

function within(field: string, value: number, least: number, most: number, allowed: string): number {
  if (value >= least && value <= most) return value;
  throw invalidField(field, `got ${value}; allowed: ${allowed}`);
}
