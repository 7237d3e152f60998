// Accumulated gradients against those of the large batch, through a small network.
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { createArchitecture } from '../architecture.js';
import { initialParameters } from '../initialisation.js';
import { tensorFlowShape, toTensorFlowLayout } from '../layout.js';
import { forward } from '../network.js';
import { modelSpecification } from '../specification.js';
import { simclrLossGradient } from './simclr-loss-gradient.js';
import { simclrLoss } from './simclr-loss.js';

const [images, microBatches, temperature, side] = [8, 4, 0.1, 6];
const architecture = createArchitecture({ width: 2, featureDim: 6 });
const specification = modelSpecification(architecture);
const trainable = specification.filter((tensor) => tensor.trainable).map(({ name }) => name);
// float32 sums in another order: PyTorch's own accumulated gradients differ as much.
const relativeTolerance = 2e-5;

describe('gradients accumulated over micro-batches (GradCache)', () => {
  const parameters = namedTensors();
  const values = trainable.map((name) => parameters[name] as tf.Tensor);
  const views = tf.randomNormal([images, 2, side, side, 3], 0, 1, 'float32', 5) as tf.Tensor5D;
  const whole = tf.valueAndGrads((...weights: tf.Tensor[]) =>
    simclrLoss(features(parameters, weights, views, false), temperature),
  )(values);

  it('are those of the large batch where BatchNorm uses its running statistics', () => {
    const { loss, gradients } = accumulate(parameters, values, views, false);
    expect(loss).toBeCloseTo(whole.value.dataSync()[0] ?? NaN, 5);
    for (const [index, name] of trainable.entries()) {
      const [got, expected] = [gradients[index]?.dataSync(), whole.grads[index]?.dataSync()];
      const scale = Math.max(...(expected ?? []).map(Math.abs));
      expected?.forEach((value, i) =>
        expect(Math.abs((got?.[i] ?? NaN) - value), name).toBeLessThan(relativeTolerance * Math.max(scale, 1e-3)),
      );
    }
  });

  it('are those of the loss over micro-batch statistics where BatchNorm trains', () => {
    // The same function written as one: each micro-batch through the network by itself, all features in one loss.
    const direct = tf.valueAndGrads((...weights: tf.Tensor[]) => {
      const parts = tf.split(views, microBatches).map((part) => features(parameters, weights, part, true));
      return simclrLoss(tf.concat(parts, 0) as tf.Tensor3D, temperature);
    })(values);
    const { loss, gradients } = accumulate(parameters, values, views, true);
    expect(loss).toBeCloseTo(direct.value.dataSync()[0] ?? NaN, 5);
    const [got, expected] = [gradients, direct.grads].map((list) => tf.concat1d(list.map((g) => g.flatten())));
    const error = tf.norm(tf.sub(got as tf.Tensor, expected as tf.Tensor)).dataSync()[0] ?? NaN;
    expect(error / (tf.norm(expected as tf.Tensor).dataSync()[0] ?? NaN)).toBeLessThan(relativeTolerance);
  });

  it('are not the mean of micro-batch losses: fewer images to tell apart give a smaller loss', () => {
    const parts = tf
      .split(views, microBatches)
      .map((part) => simclrLoss(features(parameters, values, part, false), temperature));
    const mean = tf.mean(tf.stack(parts)).dataSync()[0] ?? NaN;
    expect(mean).toBeLessThan((whole.value.dataSync()[0] ?? NaN) - 0.5);
  });
});

function accumulate(parameters: Record<string, tf.Tensor>, values: tf.Tensor[], views: tf.Tensor5D, training: boolean) {
  const parts = tf.split(views, microBatches);
  const cached = tf.concat(
    parts.map((part) => features(parameters, values, part, training)),
    0,
  ) as tf.Tensor3D;
  const { loss, gradient } = simclrLossGradient(cached, temperature);
  const rows = tf.split(gradient, microBatches);
  const perPart = parts.map((part, index) =>
    tf.grads((...weights: tf.Tensor[]) => features(parameters, weights, part, training))(values, rows[index]),
  );
  const gradients = trainable.map((_, index) => tf.addN(perPart.map((part) => part[index] as tf.Tensor)));
  return { loss: loss.dataSync()[0] ?? NaN, gradients };
}

function features(
  parameters: Record<string, tf.Tensor>,
  weights: readonly tf.Tensor[],
  views: tf.Tensor,
  training: boolean,
): tf.Tensor3D {
  const current = { ...parameters, ...Object.fromEntries(trainable.map((name, i) => [name, weights[i] as tf.Tensor])) };
  const x = views.reshape([-1, side, side, 3]) as tf.Tensor4D;
  const { embedding } = forward(architecture, current, x, { training });
  return embedding.reshape([-1, 2, architecture.featureDim]) as tf.Tensor3D;
}

function namedTensors(): Record<string, tf.Tensor> {
  const values = initialParameters(architecture, 3);
  return Object.fromEntries(
    specification.map(({ name, shape, kind }) => [
      name,
      tf.tensor(toTensorFlowLayout(values[name] as Float32Array, shape, kind), tensorFlowShape(shape, kind)),
    ]),
  );
}
