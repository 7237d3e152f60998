// Options of the random transforms, in the reference's own names, and their validation.
import { invalidField } from '@kindred/errors';

/** Random resized crop: a box of random area and aspect ratio, resized to a square. */
export interface RandomResizedCropOptions {
  /** Side of the square that comes out, in pixels, 1 to 4096. */
  readonly size: number;
  /** Least and greatest area of the box, as shares of the image, in (0, 1]. @default [0.08, 1] (torchvision) */
  readonly scale?: readonly number[];
}

/** Strengths of the colour jitter; 0 leaves that operation out. Defaults are torchvision's. */
export interface ColorJitterOptions {
  /** Factor is uniform in [max(0, 1 - x), 1 + x]. @default 0 */
  readonly brightness?: number;
  /** Factor is uniform in [max(0, 1 - x), 1 + x]. @default 0 */
  readonly contrast?: number;
  /** Factor is uniform in [max(0, 1 - x), 1 + x]. @default 0 */
  readonly saturation?: number;
  /** Shift is uniform in [-x, x] of the colour circle; x in [0, 0.5]. @default 0 */
  readonly hue?: number;
}

/** Options of the 'standard' strategy: `augmentation_kwargs` of the reference's configuration. */
export interface StandardOptions {
  readonly random_resized_crop: RandomResizedCropOptions;
}

/** Options of the 'simclr' strategy: `augmentation_kwargs` of the reference's configuration. */
export interface SimclrOptions extends StandardOptions {
  /** `p`: probability of the colour jitter, in [0, 1]. @default { p: 0.5 } (torchvision) */
  readonly color_jitter_random_apply?: { readonly p?: number };
  readonly color_jitter?: ColorJitterOptions;
  /** `p`: probability of turning gray, in [0, 1]. @default { p: 0.1 } (torchvision) */
  readonly random_grayscale?: { readonly p?: number };
}

/** {@link SimclrOptions} checked and with every default filled in. */
export interface ResolvedSimclrOptions {
  readonly size: number;
  readonly minArea: number;
  readonly maxArea: number;
  readonly jitterProbability: number;
  readonly brightness: number;
  readonly contrast: number;
  readonly saturation: number;
  readonly hue: number;
  readonly grayscaleProbability: number;
}

const largestSize = 4096;

/**
 * Checks options of the 'simclr' strategy and fills in the defaults. Keys of other transforms (`normalize`) are not looked at.
 * @throws KindredError INVALID_ARGUMENT that names the field, e.g. `color_jitter.hue`
 */
export function resolveSimclrOptions(options: SimclrOptions): ResolvedSimclrOptions {
  const jitter = options.color_jitter ?? {};
  return Object.freeze({
    ...resolveCrop(options.random_resized_crop),
    jitterProbability: inRange('color_jitter_random_apply.p', options.color_jitter_random_apply?.p ?? 0.5, 0, 1),
    brightness: inRange('color_jitter.brightness', jitter.brightness ?? 0, 0, Number.MAX_VALUE),
    contrast: inRange('color_jitter.contrast', jitter.contrast ?? 0, 0, Number.MAX_VALUE),
    saturation: inRange('color_jitter.saturation', jitter.saturation ?? 0, 0, Number.MAX_VALUE),
    hue: inRange('color_jitter.hue', jitter.hue ?? 0, 0, 0.5),
    grayscaleProbability: inRange('random_grayscale.p', options.random_grayscale?.p ?? 0.1, 0, 1),
  });
}

/**
 * Checks options of the 'standard' strategy: crop and flip, no change of colour.
 * @throws KindredError INVALID_ARGUMENT that names the field
 */
export function resolveStandardOptions(options: StandardOptions): ResolvedSimclrOptions {
  const colourless = {
    jitterProbability: 0,
    brightness: 0,
    contrast: 0,
    saturation: 0,
    hue: 0,
    grayscaleProbability: 0,
  };
  return Object.freeze({ ...resolveCrop(options.random_resized_crop), ...colourless });
}

/**
 * Checks the side of a square of pixels.
 * @throws KindredError INVALID_ARGUMENT that names `field`
 */
export function checkedSize(field: string, value: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= largestSize) return value;
  throw invalidField(field, `got ${String(value)}; allowed: an integer from 1 to ${largestSize}`);
}

function resolveCrop(crop: RandomResizedCropOptions | undefined): { size: number; minArea: number; maxArea: number } {
  if (crop === undefined || crop === null) {
    throw invalidField('random_resized_crop', 'got nothing; allowed: { size, scale }');
  }
  const size = checkedSize('random_resized_crop.size', crop.size);
  const scale: readonly number[] = crop.scale ?? [0.08, 1];
  if (Array.isArray(scale) && scale.length === 2) {
    const [minArea, maxArea] = scale as [number, number];
    if (minArea > 0 && minArea <= maxArea && maxArea <= 1) return { size, minArea, maxArea };
  }
  const got = JSON.stringify(scale);
  throw invalidField(
    'random_resized_crop.scale',
    `got ${got}; allowed: two numbers [least, greatest], 0 < least <= greatest <= 1`,
  );
}

function inRange(field: string, value: number, low: number, high: number): number {
  if (typeof value === 'number' && value >= low && value <= high) return value;
  const allowed = high === Number.MAX_VALUE ? `a finite number from ${low} up` : `a number from ${low} to ${high}`;
  throw invalidField(field, `got ${String(value)}; allowed: ${allowed}`);
}
