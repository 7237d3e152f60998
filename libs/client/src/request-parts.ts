// What is handed to `embed`, cut into requests that the service takes.
import { invalidField } from '@kindred/errors';
import type { EmbedRequest, EmbedResponse } from '@kindred/protocol/embedding';

/** Pixels that need no decoding. */
export interface Pixels {
  /** uint8 [count, height, width, 3]. */
  readonly pixels: Uint8Array;
  readonly count: number;
  readonly height: number;
  readonly width: number;
}

/** Encoded images (JPEG, PNG, WebP, AVIF, GIF), or pixels. */
export type Images = readonly Uint8Array[] | Pixels;

/** Some of the images, as one request. */
export interface Part {
  /** Their positions in what was handed to `embed`. */
  readonly indices: readonly number[];
  readonly images: EmbedRequest['images'];
}

/** Left free in each message for all that is not images. */
const messageOverhead = 64 * 1024;
/** What the contract adds to an encoded image at most: its tag and its length. */
const imageOverhead = 6;

/** Number of images. */
export function imageCount(images: Images): number {
  return Array.isArray(images) ? images.length : (images as Pixels).count;
}

/**
 * Cuts images into requests of at most `maxImages` and messages of at most `maxMessageBytes`.
 * @throws KindredError INVALID_ARGUMENT for an image that no message holds, or pixels that are not what is said.
 */
export function partsOf(images: Images, maxImages: number, maxMessageBytes: number): Part[] {
  const maxBytes = maxMessageBytes - messageOverhead;
  if (!Array.isArray(images)) return partsOfPixels(images as Pixels, maxImages, maxBytes);
  const parts: Part[] = [];
  let open: number[] = [];
  let bytes = 0;
  const end = (): void => {
    if (open.length > 0) parts.push(partOf(images as readonly Uint8Array[], open, open));
    open = [];
    bytes = 0;
  };
  (images as readonly Uint8Array[]).forEach((image, i) => {
    if (image.length > maxBytes)
      throw invalidField(`images[${i}]`, `got ${image.length} bytes; allowed: ${maxBytes} a message`);
    if (open.length === maxImages || bytes + image.length + imageOverhead > maxBytes) end();
    open.push(i);
    bytes += image.length + imageOverhead;
  });
  end();
  return parts;
}

/**
 * The images of an answered part that were refused only because the others of their request took its pixels: a part of their own. Null
 * where there are none. Pixels are known once the service has read the headers, so that images cannot be cut by them before.
 */
export function beyondLimits({ errors, count }: EmbedResponse, part: Part): Part | null {
  if (part.images?.$case !== 'encoded') return null;
  const beyond = errors.flatMap(({ index, code }) => (code === 'RESOURCE_EXHAUSTED' ? [index] : []));
  // Where there was no room for any of them, another request has none either.
  if (beyond.length === 0 || beyond.length >= count) return null;
  const indices = beyond.map((index) => part.indices[index] ?? index);
  return partOf(part.images.value.images, beyond, indices);
}

function partOf(images: readonly Uint8Array[], chosen: readonly number[], indices: readonly number[]): Part {
  const value = { images: chosen.map((i) => images[i] as Uint8Array) };
  return { indices, images: { $case: 'encoded', value } };
}

function partsOfPixels({ pixels, count, height, width }: Pixels, maxImages: number, maxBytes: number): Part[] {
  const each = height * width * 3;
  if (pixels.length !== count * each || each < 1)
    throw invalidField('pixels', `got ${pixels.length} bytes; allowed: ${count * each} for ${count} images`);
  if (each > maxBytes) throw invalidField('pixels', `got ${each} bytes an image; allowed: ${maxBytes} a message`);
  const most = Math.max(1, Math.min(maxImages, Math.floor(maxBytes / each)));
  return Array.from({ length: Math.ceil(count / most) }, (_, part) => {
    const start = part * most;
    const size = Math.min(most, count - start);
    const value = { pixels: pixels.subarray(start * each, (start + size) * each), count: size, height, width };
    return { indices: Array.from({ length: size }, (_image, i) => start + i), images: { $case: 'raw', value } };
  });
}
