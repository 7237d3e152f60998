// One view in plain TypeScript: what the kernels must equal, and the way of views that are too large for them.
import { applyColorJitter } from './color-jitter.js';
import { toGrayscale } from './luma.js';
import { resizedCrop } from './resized-crop.js';
import type { RgbImage } from './rgb-image.js';
import type { SimclrParameters } from './simclr-parameters.js';

/** Writes the view, `[size, size, 3]`, into `out` from byte `offset` on; image, box and room have been checked. */
export function renderPortably(
  image: RgbImage,
  parameters: SimclrParameters,
  size: number,
  out: Uint8Array,
  offset: number,
): void {
  const end = offset + size * size * 3;
  resizedCrop(image, parameters.crop, size, parameters.flip, out, offset);
  if (parameters.jitter) applyColorJitter(out, parameters, offset, end);
  if (parameters.grayscale) toGrayscale(out, offset, end);
}
