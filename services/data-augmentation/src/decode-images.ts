// A request's encoded images, decoded all together; a broken one is named by its position.
import type { RgbImage } from '@kindred/augmentation';
import { decodeImage } from '@kindred/datasets';
import { KindredError, toKindredError, type FieldViolation } from '@kindred/errors';

/**
 * Decodes PNG, JPEG or WebP images; libvips does it in threads of its own.
 * @throws KindredError INVALID_ARGUMENT with a violation for each image that can't be decoded, e.g. `images[3]`.
 */
export async function decodeImages(images: readonly Uint8Array[]): Promise<RgbImage[]> {
  const results = await Promise.allSettled(images.map((image, i) => decodeImage(image, `images[${i}]`)));
  const violations: FieldViolation[] = [];
  const decoded: RgbImage[] = [];
  results.forEach((result, i) => {
    if (result.status === 'fulfilled') decoded.push(result.value);
    else violations.push({ field: `images[${i}]`, description: toKindredError(result.reason).message });
  });
  if (violations.length === 0) return decoded;
  const first = violations[0]?.description ?? '';
  throw new KindredError(
    'INVALID_ARGUMENT',
    `${violations.length} of ${images.length} images cannot be decoded; first: ${first}`,
    { violations },
  );
}
