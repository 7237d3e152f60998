// A request's encoded images, decoded all together; a broken one is named by its position.
import { KindredError, toKindredError, type FieldViolation } from '@kindred/errors';
import type { RgbImage } from './dataset.js';
import { decodeImage } from './decode-images.js';

/**
 * Decodes PNG, JPEG or WebP images; libvips does it in threads of its own.
 * @throws KindredError INVALID_ARGUMENT with a violation for each image that can't be decoded, e.g. `images[3]` for the
 * field `images`.
 */
export async function decodeImageList(images: readonly Uint8Array[], field: string): Promise<RgbImage[]> {
  const results = await Promise.allSettled(images.map((image, i) => decodeImage(image, `${field}[${i}]`)));
  const violations: FieldViolation[] = [];
  const decoded: RgbImage[] = [];
  results.forEach((result, i) => {
    if (result.status === 'fulfilled') decoded.push(result.value);
    else violations.push({ field: `${field}[${i}]`, description: toKindredError(result.reason).message });
  });
  if (violations.length === 0) return decoded;
  const first = violations[0]?.description ?? '';
  throw new KindredError(
    'INVALID_ARGUMENT',
    `${violations.length} of ${images.length} images cannot be decoded; first: ${first}`,
    { violations },
  );
}
