import { describe, expect, it } from 'vitest';
import { createArchitecture } from './architecture.js';
import { initialParameters } from './initialisation.js';
import { decodeModelFile, encodeModelFile } from './model-file.js';

describe('model file', () => {
  const architecture = createArchitecture({ width: 2, featureDim: 8 });
  const model = {
    architecture,
    parameters: initialParameters(architecture, 1),
    normalisation: { mean: [0.4, 0.5, 0.6], std: [0.2, 0.3, 0.4] },
    cropSize: 32,
    resizeSide: 40,
    origin: { run: 'r1' },
  };

  it('comes back as it was', () => {
    expect(decodeModelFile(encodeModelFile(model))).toEqual(model);
    const unresized = { ...model, resizeSide: null };
    expect(decodeModelFile(encodeModelFile(unresized))).toEqual(unresized);
  });

  it('resizes to the crop where nothing else is said', () => {
    const { resizeSide: _, ...plain } = model;
    expect(decodeModelFile(encodeModelFile(plain)).resizeSide).toBe(32);
  });

  it('tells damage from a file of another kind', () => {
    const bytes = encodeModelFile(model);
    expect(() => decodeModelFile(bytes.subarray(0, bytes.length - 5))).toThrow(
      expect.objectContaining({ name: 'KindredError', code: 'DATA_LOSS' }) as Error,
    );
  });
});
