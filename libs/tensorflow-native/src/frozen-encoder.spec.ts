// The frozen encoder: the vectors of the plain one, whatever the batch is filled up to; refusals, no leaks.
import { createArchitecture, initialParameters, modelSpecification } from '@kindred/simclr';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { createEncoder } from './encoder.js';
import { createFrozenEncoder } from './frozen-encoder.js';
import { loadTensorFlow } from './runtime.js';
import { largestDifference } from './spec/golden-weights.js';

const normalisation = { mean: [0.49, 0.48, 0.45], std: [0.2, 0.21, 0.22] };
const images = (count: number, side: number): Uint8Array =>
  Uint8Array.from({ length: count * side * side * 3 }, (_, i) => (Math.imul(i, 2654435761) >>> 12) & 255);

/** Parameters whose BatchNorms are not those of a fresh network: folding has something to do. */
function trainedParameters(architecture: ReturnType<typeof createArchitecture>): Record<string, Float32Array> {
  const parameters: Record<string, Float32Array> = { ...initialParameters(architecture, 5) };
  for (const { name, kind } of modelSpecification(architecture)) {
    const wave = (i: number): number => Math.sin(i * 1.7 + name.length);
    const values = parameters[name] as Float32Array;
    if (kind === 'norm-weight') parameters[name] = values.map((_, i) => 1 + 0.4 * wave(i));
    if (kind === 'norm-bias' || kind === 'running-mean') parameters[name] = values.map((_, i) => 0.3 * wave(i));
    if (kind === 'running-variance') parameters[name] = values.map((_, i) => 1.2 + 0.8 * wave(i));
  }
  return parameters;
}

describe('createFrozenEncoder', () => {
  it.each([
    ['cifar', 4, 20],
    // Channels that our own convolutions take.
    ['cifar', 32, 16],
    ['stl', 4, 96],
    ['stl', 32, 96],
    ['imagenet', 32, 45],
  ] as const)('gives the vectors of the plain encoder (%s, width %i, side %i)', (form, width, side) => {
    const architecture = createArchitecture({ form, width, featureDim: 16 });
    const parameters = trainedParameters(architecture);
    const plain = createEncoder({ architecture, parameters, normalisation });
    const frozen = createFrozenEncoder({ architecture, parameters, normalisation, side, batchSizes: [1, 4] });
    const pixels = images(4, side);
    const expected = plain.embed(pixels, 4, side, side);
    const whole = frozen.embed(pixels, 4, 4);
    // Unit vectors; features up to about 1. Folding rounds each weight once more: 1e-5 is a hundred roundings.
    expect(largestDifference(whole.embedding, expected.embedding)).toBeLessThan(1e-5);
    expect(largestDifference(whole.backbone, expected.backbone)).toBeLessThan(2e-5);
    const filled = frozen.embed(pixels, 4, 3);
    expect(filled.count).toBe(3);
    expect(largestDifference(filled.embedding, expected.embedding.subarray(0, 48))).toBeLessThan(1e-5);
    const single = frozen.embed(pixels.subarray(0, side * side * 3), 1, 1);
    expect(largestDifference(single.embedding, expected.embedding.subarray(0, 16))).toBeLessThan(1e-5);
    plain.dispose();
    frozen.dispose();
  });

  it('refuses batches that it was not made for, and gives everything back', () => {
    const architecture = createArchitecture({ width: 4, featureDim: 16 });
    const parameters = trainedParameters(architecture);
    const { backend } = loadTensorFlow();
    const before = [tf.memory().numTensors, backend.binding.getNumOfTensors()];
    const encoder = createFrozenEncoder({ architecture, parameters, normalisation, side: 8, batchSizes: [2] });
    const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' });
    expect(() => encoder.embed(images(3, 8), 3, 3)).toThrow(refused);
    expect(() => encoder.embed(images(2, 8), 2, 0)).toThrow(refused);
    expect(() => encoder.embed(images(1, 8), 2, 2)).toThrow(refused);
    expect(() =>
      createFrozenEncoder({
        architecture: { ...architecture, form: 'stl' },
        parameters,
        normalisation,
        side: 8,
        batchSizes: [],
      }),
    ).toThrow(refused);
    encoder.embed(images(2, 8), 2, 2);
    encoder.dispose();
    expect([tf.memory().numTensors, backend.binding.getNumOfTensors()]).toEqual(before);
  });
});
