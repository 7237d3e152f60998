// The encoder: any number and size of images, batches cut without a trace, refusals, no leaks.
import { createArchitecture, initialParameters, modelSpecification, toTensorFlowLayout } from '@kindred/simclr';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, describe, expect, it } from 'vitest';
import { createEncoder, encoderProgram } from './encoder.js';
import { loadTensorFlow } from './runtime.js';
import { largestDifference } from './spec/golden-weights.js';
import { runEagerly } from './trace.js';
import { createTrainer } from './trainer.js';

const architecture = createArchitecture({ width: 4, featureDim: 16 });
const parameters = initialParameters(architecture, 5);
const normalisation = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] };
const encoder = createEncoder({ architecture, parameters, normalisation, maxBatchImages: 4 });
const images = (count: number, height: number, width: number): Uint8Array =>
  Uint8Array.from({ length: count * height * width * 3 }, (_, i) => (Math.imul(i, 2654435761) >>> 12) & 255);

describe('createEncoder', () => {
  afterAll(() => encoder.dispose());

  it('gives unit vectors for images of any size', () => {
    for (const [height, width] of [
      [32, 32],
      [17, 40],
      [1, 1],
    ] as const) {
      const { backbone, embedding } = encoder.embed(images(3, height, width), 3, height, width);
      expect(backbone).toHaveLength(3 * encoder.backboneDim);
      expect(embedding).toHaveLength(3 * encoder.featureDim);
      for (let row = 0; row < 3; row++) {
        const vector = embedding.subarray(row * encoder.featureDim, (row + 1) * encoder.featureDim);
        expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
      }
    }
  });

  it('cuts large requests, and an image’s vector does not depend on its neighbours', () => {
    const all = encoder.embed(images(11, 16, 16), 11, 16, 16);
    for (const row of [0, 5, 10]) {
      const alone = encoder.embed(images(11, 16, 16).subarray(row * 768, (row + 1) * 768), 1, 16, 16);
      const together = all.embedding.subarray(row * encoder.featureDim, (row + 1) * encoder.featureDim);
      expect(largestDifference(alone.embedding, together)).toBeLessThan(1e-5);
    }
  });

  it('gives what the same operations give one by one, but for the BatchNorms that TensorFlow folds into convolutions', () => {
    const runtime = loadTensorFlow();
    const state: Record<string, Float32Array> = {};
    for (const { name, shape, kind } of modelSpecification(architecture)) {
      if (kind !== 'batch-count') state[name] = toTensorFlowLayout(parameters[name] as Float32Array, shape, kind);
    }
    const definition = encoderProgram(architecture, normalisation, runtime);
    const shapes = { images: [5, 18, 21, 3] };
    const eager = runEagerly(runtime, definition, 'embed', state, { images: images(5, 18, 21) }, shapes).outputs;
    const compiled = encoder.embed(images(5, 18, 21), 5, 18, 21);
    const unit = 2 ** -24;
    // Unit vectors: a few roundings of float32. Without the folding this would be 0 (docs/decisions/0004).
    expect(largestDifference(compiled.embedding, eager['embedding']?.dataSync() ?? [])).toBeLessThan(8 * unit);
    tf.dispose(Object.values(eager));
  });

  it('gives what a trainer with the same parameters evaluates to', () => {
    const trainer = createTrainer({
      architecture,
      parameters,
      normalisation,
      optimizer: {},
      temperature: 0.1,
      batchSize: 2,
      imageSize: { height: 16, width: 16 },
    });
    const evaluated = trainer.evaluate(images(4, 16, 16), 4);
    trainer.dispose();
    expect(encoder.embed(images(4, 16, 16), 4, 16, 16)).toEqual(evaluated);
  });

  it('takes no images at all', () => {
    expect(encoder.embed(new Uint8Array(0), 0, 32, 32)).toEqual({
      count: 0,
      backbone: new Float32Array(0),
      embedding: new Float32Array(0),
    });
  });

  it('refuses images that are not what is said', () => {
    const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' });
    expect(() => encoder.embed(images(2, 8, 8), 3, 8, 8)).toThrow(refused);
    expect(() => encoder.embed(images(1, 8, 8), 1, 8.5, 8)).toThrow(refused);
    expect(() => encoder.embed(images(1, 8, 8), -1, 8, 8)).toThrow(refused);
    expect(() => createEncoder({ architecture, parameters: {}, normalisation })).toThrow(refused);
    expect(() => createEncoder({ architecture, parameters, normalisation, maxBatchImages: 0 })).toThrow(refused);
  });

  it('keeps two models apart and gives everything back', () => {
    const { backend } = loadTensorFlow();
    const before = [tf.memory().numTensors, backend.binding.getNumOfTensors()];
    const other = createEncoder({ architecture, parameters: initialParameters(architecture, 6), normalisation });
    const first = encoder.embed(images(2, 8, 8), 2, 8, 8);
    expect(largestDifference(other.embed(images(2, 8, 8), 2, 8, 8).embedding, first.embedding)).toBeGreaterThan(1e-2);
    other.dispose();
    expect(encoder.embed(images(2, 8, 8), 2, 8, 8)).toEqual(first);
    expect([tf.memory().numTensors, backend.binding.getNumOfTensors()]).toEqual(before);
  });
});
