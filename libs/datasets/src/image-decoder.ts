// Decodes the images of requests: sizes are read from headers first, and memory is bounded over all calls of the process.
import { KindredError, toKindredError, type FieldViolation } from '@kindred/errors';
import type { RgbImage } from './dataset.js';
import { decodeImage, measureImage } from './decode-images.js';
import { forEachBounded } from './for-each-bounded.js';
import { hasImageSignature } from './image-source.js';
import { throwIfAborted } from './open-options.js';

/** What requests may ask of an {@link ImageDecoder}. An image being decoded takes about 3 bytes a pixel. */
export interface ImageDecoderLimits {
  /** Pixels of one image. */
  readonly maxImagePixels: number;
  /** Pixels of all images of one call together. */
  readonly maxCallPixels: number;
  /** Images that are decoded, and not yet taken, at one time over all calls. */
  readonly concurrency: number;
  /** Calls at one time; one more is RESOURCE_EXHAUSTED. */
  readonly maxCalls: number;
}

/** Decodes images of requests. */
export interface ImageDecoder {
  /**
   * Hands each image, decoded to 8-bit RGB, to `take` with its position, in any order; the image is dropped when `take`
   * is done with it. `field` names the images in errors, e.g. `images[3]`.
   * @throws KindredError INVALID_ARGUMENT with a violation for each image that is no PNG, JPEG or WebP or is broken;
   *   RESOURCE_EXHAUSTED for too many pixels, before anything is decoded, and for too many calls; CANCELLED by `signal`.
   */
  decodeEach(
    images: readonly Uint8Array[],
    field: string,
    signal: AbortSignal,
    take: (image: RgbImage, index: number) => void | Promise<void>,
  ): Promise<void>;
}

/** Makes a decoder for all calls of a process. */
export function createImageDecoder(limits: ImageDecoderLimits): ImageDecoder {
  const { concurrency, maxCalls } = limits;
  const slots = createSlots(concurrency);
  let calls = 0;
  return {
    async decodeEach(images, field, signal, take) {
      if (calls >= maxCalls) {
        const text = `${calls} calls with images are at work already; allowed: ${maxCalls}; retry later`;
        throw new KindredError('RESOURCE_EXHAUSTED', text, { retryAfterMs: 200 });
      }
      calls++;
      try {
        await checkHeaders(images, field, limits, signal);
        const broken: FieldViolation[] = [];
        await forEachBounded(images, { concurrency, signal }, (bytes, i) =>
          slots.use(async () => {
            throwIfAborted(signal, 'decoding images');
            const name = `${field}[${i}]`;
            const image = await decodeImage(bytes, name).catch((thrown: unknown) => noteFault(broken, name, thrown));
            if (image !== null) await take(image, i);
          }),
        );
        throwIfAny('INVALID_ARGUMENT', broken, images.length, 'cannot be decoded');
      } finally {
        calls--;
      }
    },
  };
}

/** Reads kinds and sizes, which costs next to nothing, before memory is spent on pixels. */
async function checkHeaders(
  images: readonly Uint8Array[],
  field: string,
  { maxImagePixels, maxCallPixels, concurrency }: ImageDecoderLimits,
  signal: AbortSignal,
): Promise<void> {
  const broken: FieldViolation[] = [];
  const large: FieldViolation[] = [];
  let pixels = 0;
  await forEachBounded(images, { concurrency, signal }, async (bytes, i) => {
    const name = `${field}[${i}]`;
    if (!hasImageSignature(bytes)) {
      const description = `${name}: got ${bytes.length} bytes of another kind; allowed: a PNG, JPEG or WebP image`;
      broken.push({ field: name, description });
      return;
    }
    const size = await measureImage(bytes, name).catch((thrown: unknown) => noteFault(broken, name, thrown));
    if (size === null) return;
    pixels += size.height * size.width;
    if (size.height * size.width <= maxImagePixels) return;
    const description = `${name}: got ${size.width}×${size.height} pixels; allowed: ${maxImagePixels} pixels an image`;
    large.push({ field: name, description });
  });
  throwIfAny('INVALID_ARGUMENT', broken, images.length, 'cannot be decoded');
  throwIfAny('RESOURCE_EXHAUSTED', large, images.length, 'are too large');
  if (pixels <= maxCallPixels) return;
  const description = `got ${pixels} pixels in ${images.length} images; allowed: ${maxCallPixels} a call; send fewer`;
  throw new KindredError('RESOURCE_EXHAUSTED', `${field}: ${description}`, { violations: [{ field, description }] });
}

/** Keeps what is wrong with one image, so that the others are looked at too. */
function noteFault(violations: FieldViolation[], field: string, thrown: unknown): null {
  violations.push({ field, description: toKindredError(thrown).message });
  return null;
}

function throwIfAny(
  code: 'INVALID_ARGUMENT' | 'RESOURCE_EXHAUSTED',
  found: readonly FieldViolation[],
  images: number,
  problem: string,
): void {
  if (found.length === 0) return;
  const position = ({ field }: FieldViolation): number => Number(/\[(\d+)\]$/.exec(field)?.[1]);
  const violations = found.toSorted((a, b) => position(a) - position(b));
  const text = `${found.length} of ${images} images ${problem}; first: ${violations[0]?.description ?? ''}`;
  throw new KindredError(code, text, { violations });
}

interface Slots {
  /** Runs `work` when one of the slots is free; first come, first served. */
  use<T>(work: () => Promise<T>): Promise<T>;
}

function createSlots(count: number): Slots {
  const waiting: (() => void)[] = [];
  let free = count;
  return {
    async use(work) {
      if (free > 0) free--;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        return await work();
      } finally {
        const next = waiting.shift();
        if (next === undefined) free++;
        else next();
      }
    },
  };
}
