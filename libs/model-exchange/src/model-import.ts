// Files of others as models: which format it is follows from the bytes, and nothing in them is ever executed.
import { createHash } from 'node:crypto';
import { KindredError } from '@kindred/errors';
import { decodeSafetensors, readPytorchCheckpoint, type NamedTensors } from '@kindred/formats';
import { checkImageSize, checkNormalisation, decodeModelFile } from '@kindred/simclr';
import type { BackboneForm, ModelFile, Normalisation } from '@kindred/simclr';
import { recogniseModel } from './imported-model.js';

/** What a file of others does not say about its model; what is not given is what is usual for its form. */
export interface ImportSettings {
  /** @default 'imagenet' for a 7×7 stem, 'cifar' for a 3×3 one */
  readonly form?: BackboneForm;
  readonly normalisation?: Normalisation;
  /** Pixels of the centre crop. */
  readonly cropSize?: number;
}

/** A model that was read. */
export interface ModelImport {
  readonly model: ModelFile;
  readonly format: 'kindred' | 'safetensors' | 'pytorch';
  /** Tensors of the file that the model does not need. */
  readonly leftOut: readonly string[];
}

const imageNet: Normalisation = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** What the reference validates with (SCAN's `configs/pretext/simclr_cifar10.yml`, `simclr_stl10.yml`), and torchvision's models. */
const usual: Readonly<Record<BackboneForm, { readonly normalisation: Normalisation; readonly cropSize: number }>> = {
  cifar: { normalisation: { mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.201] }, cropSize: 32 },
  stl: { normalisation: imageNet, cropSize: 96 },
  imagenet: { normalisation: imageNet, cropSize: 224 },
};

/**
 * Reads a model from a `.safetensors` or a PyTorch file (`.pth`, `.pth.tar`, `.ckpt`: the zip form of `torch.save`) that holds a
 * `state_dict`, bare or under `model` or `state_dict`. A model file of our own says all by itself: `settings` are not used.
 *
 * @throws KindredError DATA_LOSS for damaged files; INVALID_ARGUMENT for other formats, for classes and opcodes that are not allowed,
 *   and, with a violation for each, for tensors that do not fit.
 */
export function importModel(bytes: Uint8Array, name: string, settings: ImportSettings = {}): ModelImport {
  const format = formatOf(bytes, name);
  if (format === 'safetensors') {
    const { tensors, metadata } = decodeSafetensors(bytes, name);
    if (metadata['format'] === 'kindred-model')
      return { model: decodeModelFile(bytes), format: 'kindred', leftOut: [] };
    return recognised(tensors, bytes, name, format, settings);
  }
  return recognised(readPytorchCheckpoint(bytes, name).model, bytes, name, format, settings);
}

function recognised(
  tensors: NamedTensors,
  bytes: Uint8Array,
  name: string,
  format: 'safetensors' | 'pytorch',
  settings: ImportSettings,
): ModelImport {
  const { architecture, parameters, leftOut } = recogniseModel(tensors, settings.form);
  const { normalisation = usual[architecture.form].normalisation, cropSize = usual[architecture.form].cropSize } =
    settings;
  checkNormalisation(normalisation);
  checkImageSize(architecture, cropSize, cropSize);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const origin = { imported_from: name, imported_format: format, imported_sha256: sha256 };
  return { model: { architecture, parameters, normalisation, cropSize, origin }, format, leftOut };
}

function formatOf(bytes: Uint8Array, name: string): 'safetensors' | 'pytorch' {
  if (bytes[0] === 0x50 && bytes[1] === 0x4b) return 'pytorch';
  // A length of 8 bytes, then JSON.
  if (bytes[8] === 0x7b) return 'safetensors';
  const legacy = bytes[0] === 0x80;
  throw new KindredError(
    'INVALID_ARGUMENT',
    legacy
      ? `${name}: a bare pickle, as torch.save wrote before PyTorch 1.6; allowed: its zip form (load it there, and torch.save it again)`
      : `${name}: neither a PyTorch file nor safetensors; allowed: .safetensors, and .pth, .pth.tar or .ckpt in the zip form`,
    { resource: { type: 'file', name } },
  );
}
