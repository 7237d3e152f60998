// The network against the reference's numbers: eval mode, train mode, running statistics, four steps of training.
import {
  createArchitecture,
  forward,
  modelSpecification,
  normalisePixels,
  tensorFlowShape,
  toTensorFlowLayout,
} from '@kindred/simclr';
import { readGoldenJson, readGoldenNpy } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { createEncoder } from './encoder.js';
import { compile } from './compile.js';
import { castPixels, createNativeOperations } from './operations.js';
import { loadTensorFlow } from './runtime.js';
import { createTrainer } from './trainer.js';
import { trainingProgram } from './training-program.js';
import { expectSameBits } from './spec/compare-with-eager.js';
import { goldenWeights, largestDifference, readGoldenModel, specifiedTensors } from './spec/golden-weights.js';
import type * as tf from '@tensorflow/tfjs-core';

// The golden files' own: "features: 1e-4 absolute".
const featureTolerance = 1e-4;
// These run the paper's full width: seconds on two free cores, minutes where others compute beside them.
const timeoutMs = 600_000;

describe.each(['cifar', 'stl'] as const)('resnet18 in the %s form', (form) => {
  const name = `model-resnet18-${form}`;
  const architecture = createArchitecture({ form });
  const golden = readGoldenModel(name);
  const images = readGoldenNpy<Uint8Array>(`${name}-images`);
  const [count = 0, height = 0, width = 0] = images.shape;

  it('has the tensors of the reference, in its order', { timeout: timeoutMs }, () => {
    expect(specifiedTensors(architecture)).toEqual(
      golden.tensors.map((tensor) => ({ name: tensor.name, shape: tensor.shape })),
    );
  });

  it('gives the reference’s features in eval mode', { timeout: timeoutMs }, () => {
    const encoder = createEncoder({ architecture, parameters: goldenWeights(golden), normalisation: golden });
    const { backbone, embedding } = encoder.embed(images.data, count, height, width);
    encoder.dispose();
    expect(largestDifference(embedding, readGoldenNpy<Float32Array>(`${name}-eval-features`).data)).toBeLessThan(
      featureTolerance,
    );
    const expected = readGoldenNpy<Float32Array>(`${name}-eval-backbone`).data;
    const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1);
    expect(largestDifference(backbone, expected) / scale).toBeLessThan(featureTolerance);
  });

  it('gives the reference’s features and running statistics in train mode', { timeout: timeoutMs }, () => {
    const runtime = loadTensorFlow();
    const parameters = goldenWeights(golden);
    const specification = modelSpecification(architecture).filter(({ kind }) => kind !== 'batch-count');
    const program = compile(runtime, {
      state: Object.fromEntries(specification.map(({ name: key, shape, kind }) => [key, tensorFlowShape(shape, kind)])),
      functions: {
        train: {
          inputs: { images: { dtype: 'uint8', shape: images.shape } },
          call: (state, inputs) => {
            const x = normalisePixels(castPixels(runtime.backend, inputs['images'] as tf.Tensor), golden);
            const operations = createNativeOperations(runtime);
            const { embedding, updatedStatistics } = forward(architecture, state, x, { training: true, operations });
            return { outputs: { embedding }, updates: updatedStatistics };
          },
        },
      },
    });
    program.setState(
      Object.fromEntries(
        specification.map(({ name: key, shape, kind }) => [
          key,
          toTensorFlowLayout(parameters[key] as Float32Array, shape, kind),
        ]),
      ),
    );
    const { embedding } = program.functions['train']?.({ images: images.data }) ?? {};
    const after = program.getState();
    program.dispose();
    expect(
      largestDifference(embedding?.values ?? [], readGoldenNpy<Float32Array>(`${name}-train-features`).data),
    ).toBeLessThan(featureTolerance);
    for (const [file, key] of [
      ['running-mean', 'running_mean'],
      ['running-var', 'running_var'],
    ]) {
      const expected = readGoldenNpy<Float32Array>(`${name}-after-${file}-last`).data;
      expect(largestDifference(after[`backbone.layer4.1.bn2.${key}`] ?? [], expected)).toBeLessThan(featureTolerance);
    }
  });
});

// Four steps at this learning rate amplify rounding. PyTorch itself on one machine, with 1 thread, with 2, in float64, or with
// inputs changed by 1e-7 to 3e-6, differs from the file by up to 6e-3 in the third loss and 1.4e-1 in the fourth (the file's
// own words are 1e-3 and 1e-2), 1.5e-2 in norms, and half the figures below in tensors. The first two losses are
// stable to 1.5e-4 there and here: they judge forward, gradient and update.
const lossTolerance = [1e-3, 1e-3, 2e-2, 2.5e-1];
const norms = { median: 2e-3, largest: 3e-2 };
const afterTolerance: Readonly<Record<string, number>> = {
  'backbone.conv1.weight': 0.15,
  'backbone.bn1.running_mean': 0.03,
  'backbone.bn1.running_var': 0.008,
  'contrastive_head.2.weight': 0.08,
  'contrastive_head.2.bias': 0.03,
};
const afterFeatures = 0.3;

describe('four steps of training', () => {
  const golden = readGoldenJson<{ losses: number[]; norms: Record<string, number> }>('trajectory');
  const model = readGoldenModel('model-resnet18-cifar');
  const views = readGoldenNpy<Uint8Array>('trajectory-views');
  const [steps = 0, batchSize = 0, , height = 0, width = 0] = views.shape;

  it('are the eager steps bit for bit', { timeout: timeoutMs }, () => {
    const runtime = loadTensorFlow();
    const architecture = createArchitecture();
    const parameters = goldenWeights(model, true);
    const definition = trainingProgram(
      {
        architecture,
        parameters,
        optimizer: { momentum: 0.9, weightDecay: 1e-4 },
        temperature: 0.1,
        normalisation: model,
        batchSize,
        imageSize: { height, width },
      },
      runtime,
    );
    const state: Record<string, Float32Array> = {};
    for (const { name, shape, kind, trainable } of modelSpecification(architecture)) {
      if (kind === 'batch-count') continue;
      const values = toTensorFlowLayout(parameters[name] as Float32Array, shape, kind);
      state[name] = values;
      if (trainable) state[`momentum/${name}`] = new Float32Array(values.length);
    }
    const size = views.data.length / steps;
    const calls = Array.from({ length: steps }, (_, step) => ({
      views: views.data.subarray(step * size, (step + 1) * size),
      rate: Float32Array.of(0.05),
    }));
    expectSameBits(runtime, definition, 'step', state, calls);
  });

  it('follow the reference: losses, parameters, statistics, features', { timeout: timeoutMs }, () => {
    const trainer = createTrainer({
      architecture: createArchitecture(),
      parameters: goldenWeights(model, true),
      optimizer: { momentum: 0.9, weightDecay: 1e-4 },
      temperature: 0.1,
      normalisation: model,
      batchSize,
      imageSize: { height, width },
    });
    const size = views.data.length / steps;
    const losses = golden.losses.map((_, step) =>
      trainer.step(views.data.subarray(step * size, (step + 1) * size), 0.05),
    );
    const { parameters } = trainer.state();
    const last = trainer.evaluate(views.data.subarray((steps - 1) * size), batchSize * 2);
    trainer.dispose();

    losses.forEach((loss, step) => {
      expect(Math.abs(loss / (golden.losses[step] ?? Number.NaN) - 1), `loss ${step}`).toBeLessThan(
        lossTolerance[step] ?? 1,
      );
    });
    const deviations = Object.entries(golden.norms).map(([name, norm]) => {
      const squares = (parameters[name] ?? new Float32Array(0)).reduce((sum, value) => sum + value * value, 0);
      return Math.abs(Math.sqrt(squares) / norm - 1);
    });
    deviations.sort((a, b) => a - b);
    expect(deviations[deviations.length >> 1]).toBeLessThan(norms.median);
    expect(deviations.at(-1)).toBeLessThan(norms.largest);
    expect(parameters['backbone.bn1.num_batches_tracked']?.[0]).toBe(steps);
    for (const [name, tolerance] of Object.entries(afterTolerance)) {
      const expected = readGoldenNpy<Float32Array>(`trajectory-after-${name}`).data;
      const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
      expect(largestDifference(parameters[name] ?? [], expected) / scale, name).toBeLessThan(tolerance);
    }
    const features = readGoldenNpy<Float32Array>('trajectory-after-features').data;
    expect(largestDifference(last.embedding, features)).toBeLessThan(afterFeatures);
  });
});
