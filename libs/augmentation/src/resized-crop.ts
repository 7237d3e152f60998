// Crop and antialiased bilinear resize in Pillow's 8-bit arithmetic, with an optional mirror at no cost.
import { precisionBits, resizeCoefficients } from './resize-coefficients.js';
import type { ResizeCoefficients } from './resize-coefficients.js';
import type { CropBox, RgbImage } from './rgb-image.js';

const half = 1 << (precisionBits - 1);

// Rows of the horizontal pass; grows to the largest crop seen. One thread runs one call at a time.
let rowScratch = new Uint8Array(0);

/**
 * Writes `crop` of `image`, resized to `size` × `size`, into `out` from `offset` on; mirrored left-right when `flip`.
 * Two passes as Pillow's: horizontal, rounded to 8 bits, then vertical. The crop must lie inside the image.
 */
export function resizedCrop(image: RgbImage, crop: CropBox, size: number, flip: boolean, out: Uint8Array, offset = 0): void {
  const rowBytes = size * 3;
  const vertical = resizeCoefficients(crop.height, size);
  if (crop.height === size) {
    horizontalPass(image, crop, 0, size, size, flip, out, offset);
    return;
  }
  const first = vertical.starts[0]!;
  const end = vertical.starts[size - 1]! + vertical.counts[size - 1]!;
  const needed = (end - first) * rowBytes;
  if (rowScratch.length < needed) rowScratch = new Uint8Array(needed);
  horizontalPass(image, crop, first, end, size, flip, rowScratch, 0);
  if (crop.height < size) verticalPassTwoTaps(vertical, rowScratch, first, end - first, rowBytes, size, out, offset);
  else verticalPass(vertical, rowScratch, first, rowBytes, size, out, offset);
}

/** Resizes rows `first`..`end` of the crop along x. */
function horizontalPass(
  image: RgbImage,
  crop: CropBox,
  first: number,
  end: number,
  size: number,
  flip: boolean,
  out: Uint8Array,
  offset: number,
): void {
  const source = image.data;
  const rowBytes = size * 3;
  const step = flip ? -3 : 3;
  const begin = flip ? rowBytes - 3 : 0;
  for (let y = first; y < end; y++) {
    const from = ((crop.top + y) * image.width + crop.left) * 3;
    const to = offset + (y - first) * rowBytes + begin;
    if (crop.width === size) copyRow(source, from, size, out, to, step);
    else if (crop.width < size) rowTwoTaps(resizeCoefficients(crop.width, size), source, from, crop.width, size, out, to, step);
    else rowManyTaps(resizeCoefficients(crop.width, size), source, from, size, out, to, step);
  }
}

function copyRow(source: Uint8Array, from: number, size: number, out: Uint8Array, to: number, step: number): void {
  for (let x = 0; x < size; x++, from += 3, to += step) {
    out[to] = source[from]!;
    out[to + 1] = source[from + 1]!;
    out[to + 2] = source[from + 2]!;
  }
}

/** Enlarging needs at most two neighbours; at an edge the second has weight 0 and may be any pixel. */
function rowTwoTaps(
  table: ResizeCoefficients,
  source: Uint8Array,
  from: number,
  width: number,
  size: number,
  out: Uint8Array,
  to: number,
  step: number,
): void {
  const { starts, weights, taps } = table;
  const last = from + (width - 1) * 3;
  for (let x = 0; x < size; x++, to += step) {
    const a = from + starts[x]! * 3;
    const b = a < last ? a + 3 : a;
    const w0 = weights[x * taps]!;
    const w1 = weights[x * taps + 1]!;
    out[to] = (Math.imul(source[a]!, w0) + Math.imul(source[b]!, w1) + half) >> precisionBits;
    out[to + 1] = (Math.imul(source[a + 1]!, w0) + Math.imul(source[b + 1]!, w1) + half) >> precisionBits;
    out[to + 2] = (Math.imul(source[a + 2]!, w0) + Math.imul(source[b + 2]!, w1) + half) >> precisionBits;
  }
}

// Weights are not negative and add up to 2^22 within a rounding each, so that no sum leaves 8 bits: nothing to clip.
function rowManyTaps(
  table: ResizeCoefficients,
  source: Uint8Array,
  from: number,
  size: number,
  out: Uint8Array,
  to: number,
  step: number,
): void {
  const { starts, counts, weights, taps } = table;
  for (let x = 0; x < size; x++, to += step) {
    let red = half;
    let green = half;
    let blue = half;
    let at = from + starts[x]! * 3;
    const endWeight = x * taps + counts[x]!;
    for (let k = x * taps; k < endWeight; k++, at += 3) {
      const weight = weights[k]!;
      red = (red + Math.imul(source[at]!, weight)) | 0;
      green = (green + Math.imul(source[at + 1]!, weight)) | 0;
      blue = (blue + Math.imul(source[at + 2]!, weight)) | 0;
    }
    out[to] = red >> precisionBits;
    out[to + 1] = green >> precisionBits;
    out[to + 2] = blue >> precisionBits;
  }
}

function verticalPassTwoTaps(
  table: ResizeCoefficients,
  rows: Uint8Array,
  first: number,
  rowCount: number,
  rowBytes: number,
  size: number,
  out: Uint8Array,
  offset: number,
): void {
  const { starts, weights, taps } = table;
  for (let y = 0; y < size; y++) {
    const row = starts[y]! - first;
    const w0 = weights[y * taps]!;
    const w1 = weights[y * taps + 1]!;
    const below = row + 1 < rowCount ? rowBytes : 0;
    const end = (row + 1) * rowBytes;
    for (let at = row * rowBytes; at < end; at++, offset++) {
      out[offset] = (Math.imul(rows[at]!, w0) + Math.imul(rows[at + below]!, w1) + half) >> precisionBits;
    }
  }
}

function verticalPass(
  table: ResizeCoefficients,
  rows: Uint8Array,
  first: number,
  rowBytes: number,
  size: number,
  out: Uint8Array,
  offset: number,
): void {
  const { starts, counts, weights, taps } = table;
  for (let y = 0; y < size; y++) {
    const top = (starts[y]! - first) * rowBytes;
    const endWeight = y * taps + counts[y]!;
    for (let x = 0; x < rowBytes; x++, offset++) {
      let sum = half;
      for (let k = y * taps, at = top + x; k < endWeight; k++, at += rowBytes) {
        sum = (sum + Math.imul(rows[at]!, weights[k]!)) | 0;
      }
      out[offset] = sum >> precisionBits;
    }
  }
}
