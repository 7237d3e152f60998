// A step in parts against the same gradient taken in one go.
import {
  createArchitecture,
  forward,
  initialParameters,
  modelSpecification,
  normalisePixels,
  simclrLoss,
  tensorFlowShape,
  toPyTorchLayout,
  toTensorFlowLayout,
} from '@kindred/simclr';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { loadTensorFlow } from './runtime.js';
import { createTrainer } from './trainer.js';
import { largestDifference } from './spec/golden-weights.js';
import type { TrainerOptions } from './trainer.js';

loadTensorFlow();
const side = 12;
const [batchSize, parts] = [8, 4];
const architecture = createArchitecture({ width: 4 });
const options: TrainerOptions = {
  architecture,
  parameters: initialParameters(architecture, 3),
  optimizer: { momentum: 0.9, weightDecay: 0 },
  temperature: 0.2,
  normalisation: { mean: [0.5, 0.4, 0.3], std: [0.2, 0.25, 0.3] },
  batchSize,
  imageSize: { height: side, width: side },
};
const views = Uint8Array.from(
  { length: batchSize * 2 * side * side * 3 },
  (_, i) => (Math.imul(i, 2654435761) >>> 11) & 255,
);
// float32 sums in another order, through 18 layers; relative to each tensor's largest value.
const tolerance = 2e-3;

describe('a step in parts', () => {
  it('has the gradient of the loss over all parts’ features, and starts the next one from nothing', () => {
    const trainer = createTrainer({ ...options, accumulateSteps: parts });
    // At rate 0 nothing moves: the buffers are g after one step, 1.9 g after two.
    const loss = trainer.step(views, 0);
    const first = trainer.state();
    expect(trainer.step(views, 0)).toBeCloseTo(loss, 5);
    const second = trainer.state();
    trainer.dispose();
    const direct = gradientInOneGo();
    expect(loss).toBeCloseTo(direct.loss, 4);
    for (const [name, expected] of Object.entries(direct.gradients)) {
      const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-2);
      expect(largestDifference(first.momentum[name] ?? [], expected) / scale, name).toBeLessThan(tolerance);
      const twice = expected.map((value) => 1.9 * value);
      expect(largestDifference(second.momentum[name] ?? [], twice) / scale, name).toBeLessThan(2 * tolerance);
    }
    expect(second.parameters['backbone.bn1.num_batches_tracked']).toEqual(Float32Array.of(2 * parts));
  });

  it('refuses parts that do not divide the batch, or hold one pair', () => {
    const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' });
    expect(() => createTrainer({ ...options, accumulateSteps: 3 })).toThrow(refused);
    expect(() => createTrainer({ ...options, accumulateSteps: 8 })).toThrow(refused);
    expect(() => createTrainer({ ...options, accumulateSteps: 0 })).toThrow(refused);
  });
});

function gradientInOneGo(): { loss: number; gradients: Record<string, Float32Array> } {
  const specification = modelSpecification(architecture);
  const state = Object.fromEntries(
    specification.map(({ name, shape, kind }) => [
      name,
      tf.tensor(
        toTensorFlowLayout(options.parameters[name] as Float32Array, shape, kind),
        tensorFlowShape(shape, kind),
      ),
    ]),
  );
  const trained = specification.filter(({ trainable }) => trainable);
  const pixels = tf.tensor4d(Float32Array.from(views), [batchSize * 2, side, side, 3]);
  const { value, grads } = tf.valueAndGrads((...weights: tf.Tensor[]) => {
    const parameters = {
      ...state,
      ...Object.fromEntries(trained.map(({ name }, i) => [name, weights[i] as tf.Tensor])),
    };
    const features = tf.split(pixels, parts).map((part) => {
      const x = normalisePixels(part as tf.Tensor4D, options.normalisation);
      return forward(architecture, parameters, x, { training: true }).embedding;
    });
    const all = tf.reshape(tf.concat(features, 0), [batchSize, 2, -1]) as tf.Tensor3D;
    return simclrLoss(all, options.temperature);
  })(trained.map(({ name }) => state[name] as tf.Tensor));
  const gradients = trained.map(({ name, shape, kind }, i): [string, Float32Array] => [
    name,
    toPyTorchLayout(grads[i]?.dataSync() as Float32Array, shape, kind),
  ]);
  return { loss: value.dataSync()[0] ?? Number.NaN, gradients: Object.fromEntries(gradients) };
}
