// Draws what one view does to its image, apart from doing it: the same distributions as torchvision's transforms.
import type { CropBox } from './rgb-image.js';
import type { RandomStream } from './random-stream.js';
import type { ResolvedSimclrOptions } from './simclr-options.js';

/** The steps of a colour jitter by the number that stands for them in `jitter_order`. */
export const jitterSteps = { brightness: 0, contrast: 1, saturation: 2, hue: 3 } as const;

/** Everything that was drawn for one view. Names are those of the recorded reference numbers. */
export interface SimclrParameters {
  readonly crop: CropBox;
  /** Mirror left-right after the crop. */
  readonly flip: boolean;
  /** Whether the colour jitter takes place at all. */
  readonly jitter: boolean;
  /** A permutation of {@link jitterSteps}: the order in which they are done. */
  readonly jitter_order: readonly number[];
  /** Factor in [0, ∞), 1 keeps the image; null leaves the step out, as torchvision does at strength 0. */
  readonly brightness: number | null;
  /** As `brightness`. */
  readonly contrast: number | null;
  /** As `brightness`. */
  readonly saturation: number | null;
  /** Shift in [-0.5, 0.5] of the colour circle; null leaves the step out. */
  readonly hue: number | null;
  /** Whether the view ends gray. */
  readonly grayscale: boolean;
}

const cropTries = 10;
const minRatio = 3 / 4;
const maxRatio = 4 / 3;
const minLogRatio = Math.log(minRatio);
const maxLogRatio = Math.log(maxRatio);

/**
 * Draws the parameters of one view of an image of `height` × `width` pixels, in this order: crop, flip, whether to jitter,
 * order, four factors, gray. All are drawn whether or not they are used.
 */
export function drawSimclrParameters(
  stream: RandomStream,
  height: number,
  width: number,
  options: ResolvedSimclrOptions,
): SimclrParameters {
  return {
    crop: drawCropBox(stream, height, width, options.minArea, options.maxArea),
    flip: stream.uniform() < 0.5,
    jitter: stream.uniform() < options.jitterProbability,
    jitter_order: stream.permutation([0, 0, 0, 0]),
    brightness: drawFactor(stream, options.brightness),
    contrast: drawFactor(stream, options.contrast),
    saturation: drawFactor(stream, options.saturation),
    hue: drawHue(stream, options.hue),
    grayscale: stream.uniform() < options.grayscaleProbability,
  };
}

/**
 * Draws a box as torchvision's RandomResizedCrop: area uniform, ratio width / height log-uniform in [3/4, 4/3]. After ten
 * boxes that do not fit, it is the largest centred box whose ratio is in that range.
 */
export function drawCropBox(
  stream: RandomStream,
  height: number,
  width: number,
  minArea: number,
  maxArea: number,
): CropBox {
  const area = height * width;
  for (let attempt = 0; attempt < cropTries; attempt++) {
    const target = area * stream.uniformIn(minArea, maxArea);
    const ratio = Math.exp(stream.uniformIn(minLogRatio, maxLogRatio));
    const boxWidth = roundHalfEven(Math.sqrt(target * ratio));
    const boxHeight = roundHalfEven(Math.sqrt(target / ratio));
    if (boxWidth > 0 && boxWidth <= width && boxHeight > 0 && boxHeight <= height) {
      const top = stream.integerBelow(height - boxHeight + 1);
      const left = stream.integerBelow(width - boxWidth + 1);
      return { top, left, height: boxHeight, width: boxWidth };
    }
  }
  return centredBox(height, width);
}

/** Python's `round`: to the nearest integer, ties to the even one. */
export function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

function centredBox(height: number, width: number): CropBox {
  const ratio = width / height;
  let boxHeight = height;
  let boxWidth = width;
  // At least one pixel: torchvision fails here on an image of which the box would have none.
  if (ratio < minRatio) boxHeight = Math.max(roundHalfEven(width / minRatio), 1);
  else if (ratio > maxRatio) boxWidth = Math.max(roundHalfEven(height * maxRatio), 1);
  const top = Math.floor((height - boxHeight) / 2);
  const left = Math.floor((width - boxWidth) / 2);
  return { top, left, height: boxHeight, width: boxWidth };
}

function drawFactor(stream: RandomStream, strength: number): number | null {
  const factor = stream.uniformIn(Math.max(0, 1 - strength), 1 + strength);
  return strength === 0 ? null : factor;
}

function drawHue(stream: RandomStream, strength: number): number | null {
  const shift = stream.uniformIn(-strength, strength);
  return strength === 0 ? null : shift;
}
