// Makes one view from an image and its drawn parameters.
import { invalidField } from '@kindred/errors';
import { renderPortably } from './portable-view.js';
import { renderView } from './render-view.js';
import { checkRgbImage, checkRoom } from './rgb-image.js';
import type { CropBox, RgbImage } from './rgb-image.js';
import { checkedSize } from './simclr-options.js';
import type { SimclrParameters } from './simclr-parameters.js';

/**
 * Applies drawn parameters to an image: crop and resize to `size` × `size`, flip, colour jitter, grayscale; bit for bit
 * what torchvision does on PIL images. Writes `[size, size, 3]` bytes into `out` from `offset` on and returns `out`.
 * @throws KindredError INVALID_ARGUMENT when the image, the box or the room in `out` is wrong
 */
export function applySimclr(
  image: RgbImage,
  parameters: SimclrParameters,
  size: number,
  out: Uint8Array = new Uint8Array(checkedSize('size', size) * size * 3),
  offset = 0,
): Uint8Array {
  checkRgbImage(image);
  checkCropBox(image, parameters.crop);
  checkRoom(out, offset, checkedSize('size', size) * size * 3);
  if (!renderView(image, parameters, size, out, offset)) renderPortably(image, parameters, size, out, offset);
  return out;
}

function checkCropBox(image: RgbImage, crop: CropBox): void {
  const { top, left, height, width } = crop;
  const whole = Number.isInteger(top) && Number.isInteger(left) && Number.isInteger(height) && Number.isInteger(width);
  const inside = top >= 0 && left >= 0 && top + height <= image.height && left + width <= image.width;
  if (whole && inside && height > 0 && width > 0) return;
  const got = `got ${height} × ${width} pixels at (${top}, ${left})`;
  throw invalidField('parameters.crop', `${got}; allowed: a box inside the image of ${image.height} × ${image.width}`);
}
