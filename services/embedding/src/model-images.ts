// From a request's images to the pixels that a model takes: decoded, then cropped to its size at the centre.
import { centreCrop, type RgbImage } from '@kindred/augmentation';
import type { ImageDecoder } from '@kindred/datasets';
import { KindredError, invalidField } from '@kindred/errors';
import type { EmbedRequest } from '@kindred/protocol/embedding';

/** Images of one call. */
export const maxImages = 256;
/** Largest side of a raw image in pixels. */
const maxSide = 8192;

/** Images in the form that a model takes. */
export interface ModelImages {
  /** uint8 [count, side, side, 3]. */
  readonly pixels: Uint8Array;
  readonly count: number;
}

/**
 * Reads the images of `request`, cropped to `side` × `side`, each as soon as it is decoded.
 * @throws KindredError INVALID_ARGUMENT with a violation for each bad image (`encoded.images[3]`); RESOURCE_EXHAUSTED
 *   for more than {@link maxImages} and for what the decoder does not take; CANCELLED by `signal`.
 */
export async function modelImages(
  { images }: EmbedRequest,
  side: number,
  decoder: ImageDecoder,
  signal: AbortSignal,
): Promise<ModelImages> {
  switch (images?.$case) {
    case 'encoded': {
      const encoded = images.value.images;
      checkCount('encoded.images', encoded.length);
      const bytes = side * side * 3;
      const pixels = new Uint8Array(encoded.length * bytes);
      await decoder.decodeEach(encoded, 'encoded.images', signal, (image, i) => {
        centreCrop(image, side, pixels, i * bytes);
      });
      return { pixels, count: encoded.length };
    }
    case 'raw': {
      const { pixels, count, height, width } = images.value;
      checkCount('raw.count', count);
      for (const [field, value] of Object.entries({ height, width })) {
        if (value < 1 || value > maxSide) throw invalidField(`raw.${field}`, `got ${value}; allowed: 1 to ${maxSide}`);
      }
      const bytes = height * width * 3;
      if (pixels.length !== count * bytes) {
        throw invalidField(
          'raw.pixels',
          `got ${pixels.length} bytes; allowed: ${count * bytes} for ${count} images of ${height}×${width}×3`,
        );
      }
      if (height === side && width === side) return { pixels, count };
      const list = Array.from({ length: count }, (_, i) => ({
        data: pixels.subarray(i * bytes, (i + 1) * bytes),
        height,
        width,
      }));
      return cropped(list, side);
    }
    case undefined:
      throw invalidField('images', 'got nothing; allowed: exactly one of encoded, raw');
  }
}

function cropped(images: readonly RgbImage[], side: number): ModelImages {
  const bytes = side * side * 3;
  const pixels = new Uint8Array(images.length * bytes);
  images.forEach((image, i) => centreCrop(image, side, pixels, i * bytes));
  return { pixels, count: images.length };
}

function checkCount(field: string, count: number): void {
  if (count < 1) throw invalidField(field, `got ${count} images; allowed: 1 to ${maxImages}`);
  if (count <= maxImages) return;
  throw new KindredError('RESOURCE_EXHAUSTED', `${field}: got ${count} images; allowed: at most ${maxImages} a call`, {
    violations: [{ field, description: `got ${count}; allowed: 1 to ${maxImages}` }],
  });
}
