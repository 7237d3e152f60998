// An exported SavedModel in TensorFlow itself: what `model-exchange` writes loads, runs, and gives the encoder's numbers.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toSavedModel } from '@kindred/model-exchange';
import { createArchitecture, initialParameters } from '@kindred/simclr';
import { temporaryFolder } from '@kindred/testing';
import { expect, it } from 'vitest';
import { createEncoder } from './encoder.js';
import { dataTypes } from './native.js';
import { loadTensorFlow } from './runtime.js';
import { largestDifference } from './spec/golden-weights.js';

const count = 3;

it.each([
  ['cifar', 20],
  ['stl', 96],
  ['imagenet', 65],
] as const)('a SavedModel in the %s form gives the embeddings of the encoder', (form, side) => {
  const architecture = createArchitecture({ form, width: 4, featureDim: 16 });
  const parameters = initialParameters(architecture, 5);
  const normalisation = { mean: [0.4, 0.5, 0.6], std: [0.2, 0.25, 0.3] };
  const folder = join(temporaryFolder(), 'saved_model');
  mkdirSync(folder);
  writeFileSync(
    join(folder, 'saved_model.pb'),
    toSavedModel({ architecture, parameters, normalisation, cropSize: side, origin: {} }),
  );
  const shape = [count, side, side, 3];
  const pixels = Uint8Array.from({ length: count * side * side * 3 }, (_, i) => (i * 31) % 256);
  const encoder = createEncoder({ architecture, parameters, normalisation });
  const expected = encoder.embed(pixels, count, side, side);
  encoder.dispose();

  const { binding } = loadTensorFlow().backend;
  const session = binding.loadSavedModel(folder, 'serve');
  for (const [name, dtype, values] of [
    ['serving_default', dataTypes.uint8, pixels],
    ['serving_float', dataTypes.float32, Float32Array.from(pixels)],
  ] as const) {
    const images = binding.createTensor(shape, dtype, values);
    const outputs = binding.runSavedModel(
      session,
      [images],
      `${name}/images:0`,
      `${name}/features:0,${name}/embedding:0`,
    );
    const [features, embedding] = outputs.map(({ id }) => binding.tensorDataSync(id) as Float32Array);
    for (const id of [images, ...outputs.map((output) => output.id)]) binding.deleteTensor(id);
    const scale = expected.backbone.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1);
    expect(largestDifference(features ?? [], expected.backbone) / scale).toBeLessThan(1e-5);
    expect(largestDifference(embedding ?? [], expected.embedding)).toBeLessThan(1e-5);
  }
  binding.deleteSavedModel(session);
});
