// Pillow's luma: ITU-R 601-2 weights in 16-bit fixed point, rounded.

const redWeight = 19595;
const greenWeight = 38470;
const blueWeight = 7471;

/** Luma of one pixel, in 0..255, as Pillow's conversion from RGB to L. */
export function luma(red: number, green: number, blue: number): number {
  return (Math.imul(red, redWeight) + Math.imul(green, greenWeight) + Math.imul(blue, blueWeight) + 0x8000) >> 16;
}

/** Mean luma of interleaved RGB pixels `start`..`end` (byte positions), rounded half up as Pillow's contrast does. */
export function meanLuma(pixels: Uint8Array, start: number, end: number): number {
  let sum = 0;
  for (let at = start; at < end; at += 3) sum += luma(pixels[at]!, pixels[at + 1]!, pixels[at + 2]!);
  return Math.trunc(sum / ((end - start) / 3) + 0.5);
}

/** Replaces interleaved RGB pixels `start`..`end` (byte positions) by their luma in all three channels. */
export function toGrayscale(pixels: Uint8Array, start = 0, end = pixels.length): void {
  for (let at = start; at < end; at += 3) {
    const gray = luma(pixels[at]!, pixels[at + 1]!, pixels[at + 2]!);
    pixels[at] = gray;
    pixels[at + 1] = gray;
    pixels[at + 2] = gray;
  }
}
