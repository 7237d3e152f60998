// The image of this library: interleaved 8-bit RGB.
import { invalidField } from '@kindred/errors';

/** An 8-bit RGB image, `data: [height, width, 3]` in C order. */
export interface RgbImage {
  readonly data: Uint8Array;
  readonly height: number;
  readonly width: number;
}

/** A box of an image, in whole pixels. */
export interface CropBox {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/**
 * Checks that an image has pixels, and as many bytes as its shape says.
 * @throws KindredError INVALID_ARGUMENT that names the part that is wrong
 */
export function checkRgbImage(image: RgbImage): void {
  const { height, width, data } = image;
  if (!Number.isInteger(height) || height < 1) throw invalidField('image.height', `got ${height}; allowed: 1 or more`);
  if (!Number.isInteger(width) || width < 1) throw invalidField('image.width', `got ${width}; allowed: 1 or more`);
  if (data.length !== height * width * 3) {
    const wanted = `${height * width * 3} (height ${height} × width ${width} × 3)`;
    throw invalidField('image.data', `got ${data.length} bytes; allowed: ${wanted}`);
  }
}

/**
 * Checks that `byteLength` bytes fit into `out` from `offset` on.
 * @throws KindredError INVALID_ARGUMENT that names `offset`
 */
export function checkRoom(out: Uint8Array, offset: number, byteLength: number): void {
  if (Number.isInteger(offset) && offset >= 0 && offset + byteLength <= out.length) return;
  throw invalidField(
    'offset',
    `got ${offset}; allowed: 0 to ${out.length - byteLength} (${byteLength} of ${out.length} bytes)`,
  );
}
