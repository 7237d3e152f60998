// A trained model as one safetensors file: its tensors, and in the metadata all that is needed to use it again.
import { KindredError } from '@kindred/errors';
import { decodeSafetensors, encodeSafetensors, toFloat32, type Tensor } from '@kindred/formats';
import { createArchitecture, type Architecture } from './architecture.js';
import { checkNormalisation, type Normalisation } from './normalisation.js';
import { checkStateDict, modelSpecification, type StateDict } from './specification.js';

/** A model and the way in which images reach it. */
export interface ModelFile {
  readonly architecture: Architecture;
  /** Tensors in PyTorch's names and layout. */
  readonly parameters: StateDict;
  /** The normalisation that it was trained with. */
  readonly normalisation: Normalisation;
  /** Height and width in pixels of the centre crop that it was validated with. */
  readonly cropSize: number;
  /**
   * Shorter side in pixels of the images that it was validated with, to which images of other sizes are resized before the crop; null
   * where those had several sizes: then none is resized. @default cropSize
   */
  readonly resizeSide?: number | null;
  /** Where it comes from: run, epochs, dataset; for people. */
  readonly origin: Readonly<Record<string, string>>;
}

const formatName = 'kindred-model';
const formatVersion = '1';
/** In place of `resize_side`. */
const noResize = 'none';

/**
 * The tensors of a model as PyTorch's `state_dict` has them: its order, its shapes, `num_batches_tracked` as int64.
 * @throws KindredError INVALID_ARGUMENT when `parameters` are not exactly those of `architecture`.
 */
export function namedTensors(architecture: Architecture, parameters: StateDict): Map<string, Tensor> {
  checkStateDict(architecture, parameters);
  return new Map(
    modelSpecification(architecture).map(({ name, shape, kind }): [string, Tensor] => {
      const values = parameters[name] as Float32Array;
      if (kind !== 'batch-count') return [name, { dtype: 'F32', shape, data: values }];
      return [name, { dtype: 'I64', shape, data: BigInt64Array.from(values, (value) => BigInt(value)) }];
    }),
  );
}

/** The bytes of `model.safetensors`; `num_batches_tracked` is int64 there, as in PyTorch. */
export function encodeModelFile(model: ModelFile): Uint8Array {
  const { architecture, parameters, normalisation, cropSize, resizeSide = cropSize, origin } = model;
  return encodeSafetensors(namedTensors(architecture, parameters), {
    format: formatName,
    version: formatVersion,
    architecture: JSON.stringify(architecture),
    normalisation: JSON.stringify(normalisation),
    crop_size: String(cropSize),
    resize_side: resizeSide === null ? noResize : String(resizeSide),
    origin: JSON.stringify(origin),
  });
}

/**
 * Reads what {@link encodeModelFile} wrote.
 * @throws KindredError DATA_LOSS when the file is damaged, INVALID_ARGUMENT when it is whole but no model of ours.
 */
export function decodeModelFile(bytes: Uint8Array): Required<ModelFile> {
  const { tensors, metadata } = decodeSafetensors(bytes);
  if (metadata['format'] !== formatName || metadata['version'] !== formatVersion) {
    throw new KindredError(
      'INVALID_ARGUMENT',
      `not a model file: got format '${metadata['format'] ?? ''}' version '${metadata['version'] ?? ''}'; ` +
        `allowed: '${formatName}' version '${formatVersion}'`,
    );
  }
  const architecture = createArchitecture(parsed(metadata, 'architecture') as Partial<Architecture>);
  const normalisation = parsed(metadata, 'normalisation') as Normalisation;
  checkNormalisation(normalisation);
  const cropSize = pixelsOf(metadata, 'crop_size');
  // Absent from files of before it existed.
  const resizes = metadata['resize_side'] !== undefined;
  const resizeSide =
    metadata['resize_side'] === noResize ? null : resizes ? pixelsOf(metadata, 'resize_side') : cropSize;
  const parameters = Object.fromEntries([...tensors].map(([name, tensor]) => [name, toFloat32(tensor)]));
  checkStateDict(architecture, parameters);
  return {
    architecture,
    parameters,
    normalisation,
    cropSize,
    resizeSide,
    origin: parsed(metadata, 'origin') as Record<string, string>,
  };
}

function pixelsOf(metadata: Readonly<Record<string, string>>, key: string): number {
  const value = Number(metadata[key]);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new KindredError('DATA_LOSS', `model file: ${key} is '${metadata[key]}', not a number of pixels`);
}

function parsed(metadata: Readonly<Record<string, string>>, key: string): unknown {
  try {
    return JSON.parse(metadata[key] ?? '') as unknown;
  } catch (cause) {
    throw new KindredError('DATA_LOSS', `model file: metadata '${key}' is not JSON`, { cause });
  }
}
