// Pipelines: options checked once, then images in and views out, without allocation by the view.
import { applySimclr } from './apply-simclr.js';
import { centreCrop } from './centre-crop.js';
import { createStream } from './random-stream.js';
import type { StreamKey } from './random-stream.js';
import { checkRoom } from './rgb-image.js';
import type { RgbImage } from './rgb-image.js';
import { checkedSize, resolveSimclrOptions, resolveStandardOptions } from './simclr-options.js';
import type { ResolvedSimclrOptions, SimclrOptions, StandardOptions } from './simclr-options.js';
import { drawSimclrParameters } from './simclr-parameters.js';
import type { SimclrParameters } from './simclr-parameters.js';

/** What decides the views of an image: a {@link StreamKey} without the view. */
export type ImageKey = Omit<StreamKey, 'view'>;

/** Makes random views of images. A view depends on its image and key alone; a pipeline keeps no other state. */
export interface ViewPipeline {
  /** Side of a view in pixels. */
  readonly size: number;
  /** Bytes of one view: size × size × 3. */
  readonly viewBytes: number;
  /** Writes one view, `[size, size, 3]`, into `out` from byte `offset` on. */
  view(image: RgbImage, key: StreamKey, out: Uint8Array, offset: number): void;
  /** Writes views 0 and 1, `[2, size, size, 3]`, into `out` from byte `offset` on. */
  viewPair(image: RgbImage, key: ImageKey, out: Uint8Array, offset: number): void;
}

/** Makes the one view of an image that is used for evaluation; nothing about it is random. */
export interface EvaluationPipeline {
  /** Side of a view in pixels. */
  readonly size: number;
  /** Bytes of one view: size × size × 3. */
  readonly viewBytes: number;
  /** Writes the view, `[size, size, 3]`, into `out` from byte `offset` on. */
  view(image: RgbImage, out: Uint8Array, offset: number): void;
}

/** Options of {@link createEvaluationPipeline}. */
export interface EvaluationOptions {
  /** Side of the central square in pixels, 1 to 4096. */
  readonly cropSize: number;
  /**
   * Shorter side of the images that the crop was chosen for, in pixels, 1 to 4096. An image of another shorter side is first cut to its
   * central square and resized to this side, antialiased bilinear as Pillow does it. Null: no image is resized. @default null
   */
  readonly resizeSide?: number | null;
}

/**
 * The 'simclr' strategy (Chen et al. 2020, as the reference has it): random resized crop, flip, colour jitter, grayscale.
 * @throws KindredError INVALID_ARGUMENT that names the option
 */
export function createSimclrPipeline(options: SimclrOptions): ViewPipeline {
  return createViewPipeline(resolveSimclrOptions(options));
}

/**
 * The 'standard' strategy: random resized crop and flip.
 * @throws KindredError INVALID_ARGUMENT that names the option
 */
export function createStandardPipeline(options: StandardOptions): ViewPipeline {
  return createViewPipeline(resolveStandardOptions(options));
}

/**
 * The evaluation transform: a centre crop, padding smaller images with black; before it, where asked for, a resize of images whose shorter
 * side is not the one that the crop was chosen for.
 * @throws KindredError INVALID_ARGUMENT that names `crop_size` or `resize_side`
 */
export function createEvaluationPipeline({ cropSize, resizeSide = null }: EvaluationOptions): EvaluationPipeline {
  const size = checkedSize('crop_size', cropSize);
  const side = resizeSide === null ? null : checkedSize('resize_side', resizeSide);
  return {
    size,
    viewBytes: size * size * 3,
    view(image, out, offset) {
      const shorter = Math.min(image.height, image.width);
      if (side === null || shorter === side) centreCrop(image, size, out, offset);
      else centreCrop(resizedSquare(image, shorter, side), size, out, offset);
    },
  };
}

/** A view that is no more than its crop, resized. */
const nothingRandom: Omit<SimclrParameters, 'crop'> = {
  flip: false,
  jitter: false,
  jitter_order: [],
  brightness: null,
  contrast: null,
  saturation: null,
  hue: null,
  grayscale: false,
};

/** The central square of `from` pixels a side, resized to `to`; an odd pixel is cut at the end. */
function resizedSquare(image: RgbImage, from: number, to: number): RgbImage {
  const box = {
    top: Math.floor((image.height - from) / 2),
    left: Math.floor((image.width - from) / 2),
    height: from,
    width: from,
  };
  return { data: applySimclr(image, { ...nothingRandom, crop: box }, to), height: to, width: to };
}

function createViewPipeline(options: ResolvedSimclrOptions): ViewPipeline {
  const { size } = options;
  const viewBytes = size * size * 3;
  const stream = createStream({ seed: 0, epoch: 0, imageIndex: 0, view: 0 });
  const pairKey = { seed: 0 as bigint | number, epoch: 0, imageIndex: 0, view: 0 };

  function view(image: RgbImage, key: StreamKey, out: Uint8Array, offset: number): void {
    stream.restart(key);
    applySimclr(image, drawSimclrParameters(stream, image.height, image.width, options), size, out, offset);
  }

  function viewPair(image: RgbImage, key: ImageKey, out: Uint8Array, offset: number): void {
    checkRoom(out, offset, 2 * viewBytes);
    pairKey.seed = key.seed;
    pairKey.epoch = key.epoch;
    pairKey.imageIndex = key.imageIndex;
    pairKey.view = 0;
    view(image, pairKey, out, offset);
    pairKey.view = 1;
    view(image, pairKey, out, offset + viewBytes);
  }

  return { size, viewBytes, view, viewPair };
}
