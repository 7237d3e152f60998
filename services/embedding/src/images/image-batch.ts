// The images of one request, whichever door they came through, and what can be said about them before any is touched.
import { KindredError, invalidField } from '@kindred/errors';

/** Images of a request in one of two forms. */
export type ImageBatch = EncodedBatch | RawBatch;

/** Encoded images. */
export interface EncodedBatch {
  readonly kind: 'encoded';
  readonly images: readonly Uint8Array[];
  /** The field that holds them, as errors about all of them have it. */
  readonly field: string;
  /** What errors call the image at a position of the request. */
  readonly nameOf: (index: number) => ImageName;
  /** Positions of the images in the request, where they are a part of it. @default 0, 1, 2… */
  readonly indices?: readonly number[];
}

/** What errors call one image. */
export interface ImageName {
  /** The field of the request that is at fault. */
  readonly field: string;
  /** Before what is said of the image, where the field alone does not tell which it is. @default nothing */
  readonly which?: string;
}

/** Pixels. */
export interface RawBatch {
  readonly kind: 'raw';
  /** uint8 [count, height, width, 3]. */
  readonly pixels: Uint8Array;
  readonly count: number;
  readonly height: number;
  readonly width: number;
  /** What errors call its parts. */
  readonly fields: RawFields;
}

/** Names of the parts of a {@link RawBatch} in the request that it came by. */
export interface RawFields {
  readonly count: string;
  readonly height: string;
  readonly width: string;
  readonly pixels: string;
}

/** What one request's images may be. */
export interface ImageLimits {
  /** Images. */
  readonly maxImages: number;
  /** Pixels of one image. */
  readonly maxImagePixels: number;
  /** Pixels of all encoded images together. */
  readonly maxRequestPixels: number;
  /** Longest side in pixels. */
  readonly maxSide: number;
}

/** Number of images. */
export function imageCount(batch: ImageBatch): number {
  return batch.kind === 'encoded' ? batch.images.length : batch.count;
}

/** Bytes of the images as they came. */
export function imageBytes(batch: ImageBatch): number {
  return batch.kind === 'raw' ? batch.pixels.length : batch.images.reduce((sum, { length }) => sum + length, 0);
}

/**
 * Checks number and form.
 * @throws KindredError RESOURCE_EXHAUSTED for too many images, INVALID_ARGUMENT for none, or pixels that are not what is said.
 */
export function checkBatch(batch: ImageBatch, limits: ImageLimits): void {
  const count = imageCount(batch);
  const field = batch.kind === 'encoded' ? batch.field : batch.fields.count;
  if (count < 1) throw invalidField(field, `got ${count} images; allowed: 1 to ${limits.maxImages}`);
  if (count > limits.maxImages) {
    throw new KindredError(
      'RESOURCE_EXHAUSTED',
      `${field}: got ${count} images; allowed: at most ${limits.maxImages} a call`,
      { violations: [{ field, description: `got ${count}; allowed: 1 to ${limits.maxImages}` }] },
    );
  }
  if (batch.kind === 'encoded') return;
  const { pixels, height, width, fields } = batch;
  for (const [name, value] of Object.entries({ height, width })) {
    if (value >= 1 && value <= limits.maxSide) continue;
    throw invalidField(fields[name as 'height' | 'width'], `got ${name} ${value}; allowed: 1 to ${limits.maxSide}`);
  }
  if (height * width > limits.maxImagePixels) {
    throw invalidField(
      fields.height,
      `got ${width}×${height} pixels; allowed: ${limits.maxImagePixels} pixels an image`,
    );
  }
  const bytes = count * height * width * 3;
  if (pixels.length === bytes) return;
  throw invalidField(
    fields.pixels,
    `got ${pixels.length} bytes; allowed: ${bytes} for ${count} images of ${height}×${width}×3`,
  );
}
