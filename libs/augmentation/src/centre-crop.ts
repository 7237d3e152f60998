// Centre crop with torchvision's arithmetic: smaller images are padded with black first.
import { checkRgbImage, checkRoom } from './rgb-image.js';
import type { RgbImage } from './rgb-image.js';
import { checkedSize } from './simclr-options.js';
import { roundHalfEven } from './simclr-parameters.js';

/**
 * Writes the central `size` × `size` pixels of an image into `out` from `offset` on and returns `out`. A side shorter than
 * `size` is padded with 0, the odd pixel at its end; a longer one is cut at round-half-even((side - size) / 2).
 * @throws KindredError INVALID_ARGUMENT when the image, the size or the room in `out` is wrong
 */
export function centreCrop(
  image: RgbImage,
  size: number,
  out: Uint8Array = new Uint8Array(checkedSize('size', size) * size * 3),
  offset = 0,
): Uint8Array {
  checkRgbImage(image);
  const byteLength = checkedSize('size', size) * size * 3;
  checkRoom(out, offset, byteLength);
  const rows = centredSpan(image.height, size);
  const columns = centredSpan(image.width, size);
  if (rows.length < size || columns.length < size) out.fill(0, offset, offset + byteLength);
  for (let y = 0; y < rows.length; y++) {
    const from = ((rows.from + y) * image.width + columns.from) * 3;
    const to = offset + ((rows.to + y) * size + columns.to) * 3;
    out.set(image.data.subarray(from, from + columns.length * 3), to);
  }
  return out;
}

/** Where along one axis pixels are read (`from`) and written (`to`), and how many. */
function centredSpan(side: number, size: number): { from: number; to: number; length: number } {
  if (side <= size) return { from: 0, to: Math.floor((size - side) / 2), length: side };
  return { from: roundHalfEven((side - size) / 2), to: 0, length: size };
}
