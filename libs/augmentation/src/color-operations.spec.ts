import { readGoldenJson, readGoldenNpy } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { adjustBrightness, adjustContrast, adjustHue, adjustSaturation, toGrayscale } from './index.js';

interface OperationCase {
  readonly image: number;
  readonly op: string;
  readonly factor: number;
}

const operations: Record<string, (pixels: Uint8Array, factor: number) => void> = {
  brightness: adjustBrightness,
  contrast: adjustContrast,
  saturation: adjustSaturation,
  hue: adjustHue,
  grayscale: (pixels) => toGrayscale(pixels),
};

describe('golden single operations', () => {
  const cases = readGoldenJson<OperationCase[]>('ops');
  const inputs = readGoldenNpy<Uint8Array>('ops-input');
  const outputs = readGoldenNpy<Uint8Array>('ops-output');
  const imageBytes = inputs.shape.slice(1).reduce((product, side) => product * side, 1);

  it('covers every operation', () => {
    expect([...new Set(cases.map(({ op }) => op))].sort()).toEqual(Object.keys(operations).sort());
  });

  it.each(cases.map((c, index) => ({ ...c, index })))(
    '$op by $factor of image $image',
    ({ image, op, factor, index }) => {
      const pixels = inputs.data.slice(image * imageBytes, (image + 1) * imageBytes);
      operations[op]!(pixels, factor);
      expect(Buffer.compare(pixels, outputs.data.subarray(index * imageBytes, (index + 1) * imageBytes))).toBe(0);
    },
  );
});
