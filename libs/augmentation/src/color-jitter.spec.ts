import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adjustBrightness, adjustContrast, adjustSaturation } from './blend.js';
import { applyColorJitter } from './color-jitter.js';
import { adjustHue } from './hue.js';
import type { SimclrParameters } from './simclr-parameters.js';

const steps = [adjustBrightness, adjustContrast, adjustSaturation, adjustHue];

/** An arbitrary jitter; each step may be left out. */
const jitters = fc.record<Omit<SimclrParameters, 'crop' | 'flip' | 'grayscale' | 'jitter'>>({
  jitter_order: fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }),
  brightness: fc.option(fc.double({ min: 0, max: 3, noNaN: true })),
  contrast: fc.option(fc.double({ min: 0, max: 3, noNaN: true })),
  saturation: fc.option(fc.double({ min: 0, max: 3, noNaN: true })),
  hue: fc.option(fc.double({ min: -0.5, max: 0.5, noNaN: true })),
});

describe('applyColorJitter', () => {
  it('equals the single operations done one after the other, and touches nothing else', () => {
    const pixels = fc
      .uint8Array({ minLength: 12, maxLength: 192 })
      .map((bytes) => bytes.subarray(0, bytes.length - (bytes.length % 3)));
    fc.assert(
      fc.property(pixels, jitters, (bytes, jitter) => {
        const parameters = {
          ...jitter,
          crop: { top: 0, left: 0, height: 1, width: 1 },
          flip: false,
          jitter: true,
          grayscale: false,
        };
        const slow = Uint8Array.from(bytes);
        const factors = [jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue];
        for (const step of jitter.jitter_order) if (factors[step] !== null) steps[step]!(slow, factors[step]!);
        const fast = new Uint8Array(bytes.length + 6).fill(77);
        fast.set(bytes, 3);
        applyColorJitter(fast, parameters, 3, 3 + bytes.length);
        expect(fast.subarray(3, -3)).toEqual(slow);
        expect([...fast.subarray(0, 3), ...fast.subarray(-3)]).toEqual([77, 77, 77, 77, 77, 77]);
      }),
      { numRuns: 500 },
    );
  });
});
