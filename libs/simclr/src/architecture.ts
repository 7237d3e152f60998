// What a network looks like, as plain data that a checkpoint or a request can carry.
import { invalidField } from '@kindred/errors';

/**
 * The two ResNet-18 forms of SCAN's reference, `cifar` for small images of any size and `stl` for 96×96 ones, and that of the paper,
 * `imagenet`, for large images: models that were trained elsewhere have it.
 */
export type BackboneForm = 'cifar' | 'stl' | 'imagenet';

/**
 * `mlp` is SimCLR's two-layer projection head (SimCLR §4.2), `linear` a single layer. `none` is a backbone that came without one:
 * its embedding is the backbone's vector at unit length, so that `featureDim` is 8·width.
 */
export type HeadKind = 'mlp' | 'linear' | 'none';

/** A contrastive model: ResNet-18 backbone, projection head, L2-normalised output. */
export interface Architecture {
  readonly backbone: 'resnet18';
  readonly form: BackboneForm;
  /** Channels of the stem and first stage; the stages have 1, 2, 4 and 8 times as many. The paper's is 64. */
  readonly width: number;
  readonly head: HeadKind;
  /** Length of the embedding vector. */
  readonly featureDim: number;
}

/** The reference's defaults (SCAN's `configs/pretext`): CIFAR form, width 64, MLP head, 128 features. */
export const defaultArchitecture: Architecture = Object.freeze({
  backbone: 'resnet18',
  form: 'cifar',
  width: 64,
  head: 'mlp',
  featureDim: 128,
});

const maxWidth = 1024;
const maxFeatureDim = 65_536;

/**
 * Completes and checks an architecture.
 *
 * @throws KindredError INVALID_ARGUMENT naming the field and what is allowed.
 */
export function createArchitecture(options: Partial<Architecture> = {}): Architecture {
  const result = { ...defaultArchitecture, ...options };
  oneOf('architecture.backbone', result.backbone, ['resnet18']);
  oneOf('architecture.form', result.form, ['cifar', 'stl', 'imagenet']);
  oneOf('architecture.head', result.head, ['mlp', 'linear', 'none']);
  whole('architecture.width', result.width, maxWidth);
  whole('architecture.featureDim', result.featureDim, maxFeatureDim);
  if (result.head === 'none' && result.featureDim !== backboneDim(result)) {
    throw invalidField(
      'architecture.featureDim',
      `got ${result.featureDim}; allowed without a head: ${backboneDim(result)}, 8·width`,
    );
  }
  return Object.freeze(result);
}

/** Length of the backbone's output vector: 8 times the width (512 for the paper's network). */
export function backboneDim(architecture: Architecture): number {
  return architecture.width * 8;
}

function oneOf(field: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value)) throw invalidField(field, `got '${value}'; allowed: ${allowed.join(', ')}`);
}

function whole(field: string, value: number, max: number): void {
  if (!Number.isInteger(value) || value < 1 || value > max) {
    throw invalidField(field, `got ${value}; allowed: a whole number from 1 to ${max}`);
  }
}
