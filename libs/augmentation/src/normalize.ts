// From 8-bit pixels to the network's input: torchvision's ToTensor and Normalize, in float32 at each step.
import { invalidField } from '@kindred/errors';
import { checkRgbImage } from './rgb-image.js';
import type { RgbImage } from './rgb-image.js';

/** Channel statistics of a data set: three numbers each, in units where white is 1. */
export interface NormalizeOptions {
  readonly mean: readonly number[];
  /** Above 0. */
  readonly std: readonly number[];
}

/** The normalised value of each byte, `[3, 256]`: one row a channel. */
export type NormalizeTable = Float32Array;

/**
 * Tabulates (x / 255 - mean) / std for the 256 bytes of each channel, rounded to float32 after each operation.
 * @throws KindredError INVALID_ARGUMENT that names `normalize.mean` or `normalize.std`
 */
export function normalizeTable(options: NormalizeOptions): NormalizeTable {
  const mean = checkedTriple('normalize.mean', options.mean, Number.NEGATIVE_INFINITY, 'three finite numbers');
  const std = checkedTriple('normalize.std', options.std, 0, 'three finite numbers above 0');
  const table = new Float32Array(3 * 256);
  for (let channel = 0; channel < 3; channel++) {
    const centre = Math.fround(mean[channel]!);
    const spread = Math.fround(std[channel]!);
    for (let value = 0; value < 256; value++) {
      table[channel * 256 + value] = Math.fround(Math.fround(value / 255) - centre) / spread;
    }
  }
  return table;
}

/** Writes an image as normalised float32 `[3, height, width]` into `out` from `offset` on and returns `out`. */
export function normalize(
  image: RgbImage,
  table: NormalizeTable,
  out: Float32Array = new Float32Array(image.data.length),
  offset = 0,
): Float32Array {
  checkRgbImage(image);
  const { data } = image;
  const plane = image.height * image.width;
  if (offset < 0 || offset + 3 * plane > out.length) {
    throw invalidField('offset', `got ${offset}; allowed: 0 to ${out.length - 3 * plane}`);
  }
  for (let pixel = 0, at = 0; pixel < plane; pixel++, at += 3) {
    out[offset + pixel] = table[data[at]!]!;
    out[offset + plane + pixel] = table[256 + data[at + 1]!]!;
    out[offset + 2 * plane + pixel] = table[512 + data[at + 2]!]!;
  }
  return out;
}

function checkedTriple(field: string, values: readonly number[], above: number, allowed: string): readonly number[] {
  const good = Array.isArray(values) && values.length === 3 && values.every((v) => Number.isFinite(v) && v > above);
  if (good) return values;
  throw invalidField(field, `got ${JSON.stringify(values)}; allowed: ${allowed}`);
}
