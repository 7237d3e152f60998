// A thread that turns encoded images into a network's input: header first, then decoded, then the model's transform.
import { createEvaluationPipeline, type RgbImage } from '@kindred/augmentation';
import { KindredError, invalidField } from '@kindred/errors';
import { workerTask } from '@kindred/workers';
import sharp from 'sharp';
import { background } from './background.js';
import { decoderFault } from './decoder-fault.js';
import { imageKind, imageKinds } from './image-kind.js';
import type { ImageName } from './image-batch.js';
import type { ImageTransform } from './image-transform.js';

/** An encoded image, and what may be spent on it. */
export interface DecodeRequest {
  /** JPEG, PNG, WebP, AVIF or GIF. */
  readonly bytes: Uint8Array;
  /** Its name in errors. */
  readonly name: ImageName;
  readonly transform: ImageTransform;
  /** Pixels that it may have. */
  readonly maxImagePixels: number;
  /** Longest side that it may have. */
  readonly maxSide: number;
  /** Shared by the request's images over all threads: pixels so far, and 1 once the caller has left. */
  readonly request: BigInt64Array;
  /** Pixels that they may have together. */
  readonly maxRequestPixels: number;
}

// One image a thread at a time: libvips needs neither threads nor a cache of its own.
sharp.concurrency(1);
sharp.cache(false);

/** uint8 [cropSize, cropSize, 3]. INVALID_ARGUMENT for an image that is not taken, RESOURCE_EXHAUSTED for one too many pixels a request. */
export const decode = workerTask(
  async (request: DecodeRequest): Promise<Uint8Array> => {
    if (Atomics.load(request.request, 1) !== 0n) throw new KindredError('CANCELLED', 'the caller has left');
    return transformed(await decoded(request), request.transform);
  },
  (pixels) => [pixels.buffer as ArrayBuffer],
);

/** Pixels, and the model's transform. */
export interface TransformRequest {
  readonly image: RgbImage;
  readonly transform: ImageTransform;
}

/** uint8 [cropSize, cropSize, 3] of an image that needs no decoding. */
export const transform = workerTask(
  async ({ image, transform: options }: TransformRequest): Promise<Uint8Array> => transformed(image, options),
  (pixels) => [pixels.buffer as ArrayBuffer],
);

function transformed(image: RgbImage, options: ImageTransform): Uint8Array {
  const pipeline = createEvaluationPipeline(options);
  const out = new Uint8Array(pipeline.viewBytes);
  pipeline.view(image, out, 0);
  return out;
}

async function decoded(request: DecodeRequest): Promise<RgbImage> {
  const { bytes, name, maxImagePixels } = request;
  if (imageKind(bytes) === null) {
    throw invalidImage(name, `got ${bytes.length} bytes of another kind; allowed: ${imageKinds.join(', ')}`);
  }
  try {
    // The limit holds for what the decoder finds, whatever the header that was read before says.
    const image = sharp(bytes, { failOn: 'warning', limitInputPixels: maxImagePixels, sequentialRead: true });
    const { width, height, hasAlpha } = await sharp(bytes, { limitInputPixels: false }).metadata();
    spend(request, width, height);
    const { data, info } = await (hasAlpha ? image.flatten({ background }) : image)
      .autoOrient()
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw new Error(`decodes to ${info.channels} channels`);
    return { data, height: info.height, width: info.width };
  } catch (cause) {
    if (cause instanceof KindredError) throw cause;
    const reason = decoderFault(cause, bytes);
    throw invalidImage(name, `got ${bytes.length} bytes that cannot be decoded: ${reason}; allowed: a whole image`);
  }
}

/** Counts the image's pixels before they are decoded. */
function spend(image: DecodeRequest, width: number, height: number): void {
  const { name, maxImagePixels, maxSide, request, maxRequestPixels } = image;
  const pixels = width * height;
  if (pixels > maxImagePixels || Math.max(width, height) > maxSide) {
    throw invalidImage(
      name,
      `got ${width}×${height} pixels; allowed: ${maxImagePixels} pixels an image, ${maxSide} a side`,
    );
  }
  const total = Atomics.add(request, 0, BigInt(pixels)) + BigInt(pixels);
  if (total <= BigInt(maxRequestPixels)) return;
  const { field, which = '' } = name;
  throw new KindredError(
    'RESOURCE_EXHAUSTED',
    `${field}: ${which}got ${total} pixels up to this image; allowed: ${maxRequestPixels} a request; send fewer images`,
    { violations: [{ field, description: `${which}got ${total} pixels so far; allowed: ${maxRequestPixels}` }] },
  );
}

function invalidImage({ field, which = '' }: ImageName, description: string): KindredError {
  return invalidField(field, `${which}${description}`);
}
