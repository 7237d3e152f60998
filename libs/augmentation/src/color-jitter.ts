// Colour jitter in place: brightness, contrast, saturation and hue in the drawn order.
import { adjustSaturation, fillBlendTable } from './blend.js';
import { adjustHue } from './hue.js';
import { luma } from './luma.js';
import { jitterSteps } from './simclr-parameters.js';
import type { SimclrParameters } from './simclr-parameters.js';

const pending = new Uint8Array(256);
const step = new Uint8Array(256);

/**
 * Applies the jitter of `parameters` to interleaved RGB bytes `start`..`end`, in place, whether or not
 * `parameters.jitter` is set. Brightness and contrast map each channel value through a table of 256, so that
 * neighbouring ones are joined into one table and done in one pass.
 */
export function applyColorJitter(
  pixels: Uint8Array,
  parameters: SimclrParameters,
  start = 0,
  end = pixels.length,
): void {
  let tabled = false;
  for (const kind of parameters.jitter_order) {
    if (kind === jitterSteps.brightness) {
      if (parameters.brightness === null) continue;
      fillBlendTable(step, 0, parameters.brightness);
      joinStep(tabled);
      tabled = true;
    } else if (kind === jitterSteps.contrast) {
      if (parameters.contrast === null) continue;
      const mean = tabled ? meanLumaThrough(pending, pixels, start, end) : meanLumaThrough(null, pixels, start, end);
      fillBlendTable(step, mean, parameters.contrast);
      joinStep(tabled);
      tabled = true;
    } else {
      if (tabled) applyTable(pixels, start, end);
      tabled = false;
      if (kind === jitterSteps.saturation && parameters.saturation !== null) {
        adjustSaturation(pixels, parameters.saturation, start, end);
      }
      if (kind === jitterSteps.hue && parameters.hue !== null) adjustHue(pixels, parameters.hue, start, end);
    }
  }
  if (tabled) applyTable(pixels, start, end);
}

/** Puts `step` behind the steps that are pending. */
function joinStep(tabled: boolean): void {
  if (!tabled) pending.set(step);
  else for (let value = 0; value < 256; value++) pending[value] = step[pending[value]!]!;
}

function applyTable(pixels: Uint8Array, start: number, end: number): void {
  for (let at = start; at < end; at++) pixels[at] = pending[pixels[at]!]!;
}

function meanLumaThrough(table: Uint8Array | null, pixels: Uint8Array, start: number, end: number): number {
  let sum = 0;
  if (table === null) {
    for (let at = start; at < end; at += 3) sum += luma(pixels[at]!, pixels[at + 1]!, pixels[at + 2]!);
  } else {
    for (let at = start; at < end; at += 3) {
      sum += luma(table[pixels[at]!]!, table[pixels[at + 1]!]!, table[pixels[at + 2]!]!);
    }
  }
  return Math.trunc(sum / ((end - start) / 3) + 0.5);
}
