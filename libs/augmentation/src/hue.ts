// Hue shift through Pillow's 8-bit HSV: float32 where its C code has float, double where C promotes.

const bytes = 256;

// Hue byte of a pixel by (sector << 16 | chroma << 8 | max - middle); sectors number which channel is largest and which smallest.
const hueOf = new Uint8Array(6 * bytes * bytes);
// Saturation byte by (max << 8 | chroma).
const saturationOf = new Uint8Array(bytes * bytes);
// Saturation byte / 255 and the fraction of a hue byte within its sixth of the circle, as float32.
const saturationFraction = new Float32Array(bytes);
const hueFraction = new Float32Array(bytes);
const hueSixth = new Uint8Array(bytes);
fillTables();

/** What torchvision adds to the 8-bit hue for a `factor` in [-0.5, 0.5]: 255 steps a circle, towards zero, modulo 256. */
export function hueShift(factor: number): number {
  return Math.trunc(factor * 255) & 0xff;
}

/**
 * Shifts the hue of interleaved RGB pixels `start`..`end` (byte positions) in place by `factor` in [-0.5, 0.5] of the
 * circle. A factor of 0 still goes through 8-bit HSV and back, which loses a little.
 */
export function adjustHue(pixels: Uint8Array, factor: number, start = 0, end = pixels.length): void {
  const shift = hueShift(factor);
  for (let at = start; at < end; at += 3) {
    shiftPixelHue(pixels, at, pixels[at]!, pixels[at + 1]!, pixels[at + 2]!, shift);
  }
}

/** Writes at `at` the pixel (red, green, blue) with `shift` (a byte) added to its hue byte. */
export function shiftPixelHue(
  pixels: Uint8Array,
  at: number,
  red: number,
  green: number,
  blue: number,
  shift: number,
): void {
  let sector: number;
  let value: number;
  let middle: number;
  let lowest: number;
  // Where two channels tie for largest, red goes before green and green before blue, as in Pillow.
  if (red >= green && red >= blue) {
    value = red;
    sector = green <= blue ? 0 : 1;
    middle = green <= blue ? blue : green;
    lowest = green <= blue ? green : blue;
  } else if (green >= blue && green > red) {
    value = green;
    sector = blue <= red ? 2 : 3;
    middle = blue <= red ? red : blue;
    lowest = blue <= red ? blue : red;
  } else {
    value = blue;
    sector = red <= green ? 4 : 5;
    middle = red <= green ? green : red;
    lowest = red <= green ? red : green;
  }

  const chroma = value - lowest;
  const saturation = saturationOf[(value << 8) | chroma]!;
  if (saturation === 0) {
    pixels[at] = value;
    pixels[at + 1] = value;
    pixels[at + 2] = value;
    return;
  }
  const hue = (hueOf[(sector << 16) | (chroma << 8) | (value - middle)]! + shift) & 0xff;
  const s = saturationFraction[saturation]!;
  const f = hueFraction[hue]!;
  const sixth = hueSixth[hue]!;
  const low = (value * (1 - s) + 0.5) | 0;
  // Even sixths rise from low to value with f, odd ones fall; C promotes only the former's product to double.
  const rising = (sixth & 1) === 0;
  const distance = rising ? s * (1 - f) : Math.fround(s * f);
  const between = (value * (1 - distance) + 0.5) | 0;
  switch (sixth) {
    case 0:
    case 5:
      pixels[at] = value;
      pixels[at + 1] = rising ? between : low;
      pixels[at + 2] = rising ? low : between;
      break;
    case 1:
    case 2:
      pixels[at] = rising ? low : between;
      pixels[at + 1] = value;
      pixels[at + 2] = rising ? between : low;
      break;
    default:
      pixels[at] = rising ? between : low;
      pixels[at + 1] = rising ? low : between;
      pixels[at + 2] = value;
  }
}

function fillTables(): void {
  for (let a = 1; a < bytes; a++) {
    for (let b = 0; b <= a; b++) {
      saturationOf[(a << 8) | b] = Math.trunc(Math.fround(b / a) * 255);
      const middle = Math.fround(b / a);
      for (let sector = 0; sector < 6; sector++) hueOf[(sector << 16) | (a << 8) | b] = hueByte(sector, middle);
    }
  }
  for (let i = 0; i < bytes; i++) {
    saturationFraction[i] = i / 255;
    const turned = (i * 6) / 255;
    hueFraction[i] = turned - Math.floor(turned);
    hueSixth[i] = Math.floor(turned) % 6;
  }
}

/** Hue byte where the middle channel lies `middle` (a share of the chroma) below the largest. */
function hueByte(sector: number, middle: number): number {
  const wide = [middle - 1, 1 - middle, 2 + middle - 1, 2 + 1 - middle, 4 + middle - 1, 4 + 1 - middle][sector]!;
  return Math.trunc(Math.fround((Math.fround(wide) / 6 + 1) % 1) * 255);
}
