// Pillow's blend of an image with a degenerate form of itself, in float32 with truncation; factors outside [0, 1] clip.
import { luma, meanLuma } from './luma.js';

const productScratch = new Float32Array(511);
const tableScratch = new Uint8Array(256);

/** One channel of Pillow's blend: `base` at factor 0, `value` at factor 1, in between or beyond for others. */
export function blendValue(base: number, value: number, factor: number): number {
  return truncateToByte(Math.fround(base + Math.fround(Math.fround(factor) * (value - base))));
}

/** Fills `table` (256 bytes) with the blend of one degenerate value and every channel value. */
export function fillBlendTable(table: Uint8Array, base: number, factor: number): void {
  for (let value = 0; value < 256; value++) table[value] = blendValue(base, value, factor);
}

/** Brightness by `factor` in [0, ∞), in place on bytes `start`..`end`: a blend with black. */
export function adjustBrightness(pixels: Uint8Array, factor: number, start = 0, end = pixels.length): void {
  fillBlendTable(tableScratch, 0, factor);
  for (let at = start; at < end; at++) pixels[at] = tableScratch[pixels[at]!]!;
}

/** Contrast by `factor` in [0, ∞), in place on bytes `start`..`end`: a blend with the whole image's mean luma. */
export function adjustContrast(pixels: Uint8Array, factor: number, start = 0, end = pixels.length): void {
  fillBlendTable(tableScratch, meanLuma(pixels, start, end), factor);
  for (let at = start; at < end; at++) pixels[at] = tableScratch[pixels[at]!]!;
}

/** Saturation by `factor` in [0, ∞), in place on bytes `start`..`end`: a blend with each pixel's luma. */
export function adjustSaturation(pixels: Uint8Array, factor: number, start = 0, end = pixels.length): void {
  const products = saturationProducts(factor);
  for (let at = start; at < end; at += 3) {
    const red = pixels[at]!;
    const green = pixels[at + 1]!;
    const blue = pixels[at + 2]!;
    const gray = luma(red, green, blue);
    const zero = 255 - gray;
    pixels[at] = truncateToByte(Math.fround(gray + products[zero + red]!));
    pixels[at + 1] = truncateToByte(Math.fround(gray + products[zero + green]!));
    pixels[at + 2] = truncateToByte(Math.fround(gray + products[zero + blue]!));
  }
}

/** `factor · d` in float32 for d = -255..255, at position d + 255. The array is reused by the next call. */
export function saturationProducts(factor: number): Float32Array {
  const single = Math.fround(factor);
  for (let difference = -255; difference <= 255; difference++) productScratch[difference + 255] = single * difference;
  return productScratch;
}

/** Towards zero, into 0..255. */
export function truncateToByte(value: number): number {
  return value <= 0 ? 0 : value >= 255 ? 255 : value | 0;
}
