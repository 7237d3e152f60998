// Losses and schedules against the reference's recorded numbers.
import { readGoldenJson, readGoldenNpy } from '@kindred/testing';
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { scanLoss } from './losses/scan-loss.js';
import { selfLabelLoss } from './losses/self-label-loss.js';
import { simclrLoss } from './losses/simclr-loss.js';
import { learningRate } from './schedules.js';
import type { LearningRateSchedule } from './schedules.js';

interface ScanCase {
  readonly case: number;
  readonly entropy_weight: number;
  readonly total: number;
  readonly consistency: number;
  readonly entropy: number;
  readonly selflabel: { readonly threshold: number; readonly class_balancing: boolean; readonly loss: number };
}

interface ScheduleCase {
  readonly scheduler: 'cosine' | 'step' | 'constant';
  readonly lr: number;
  readonly kwargs: { readonly lr_decay_rate?: number; readonly lr_decay_epochs?: readonly number[] };
  readonly epochs: number;
  readonly values: readonly number[];
}

// float32 against float32: five digits of the loss, and gradients within 1e-5 of their largest value plus rounding.
const lossDigits = 4;
const gradientTolerance = 1e-5;

describe.each(readGoldenJson<{ case: number; batch: number; temperature: number; loss: number }[]>('simclr-loss'))(
  'SimCLR loss, case $case: batch $batch, temperature $temperature',
  ({ case: index, temperature, loss }) => {
    it('has the reference’s value and gradient', () => {
      const { data, shape } = readGoldenNpy<Float32Array>(`simclr-loss-${index}-features`);
      const features = tf.tensor3d(data, shape as [number, number, number]);
      const { value, grad } = tf.valueAndGrad((x: tf.Tensor) => simclrLoss(x as tf.Tensor3D, temperature))(features);
      expect(value.dataSync()[0]).toBeCloseTo(loss, lossDigits);
      expectClose(grad.dataSync(), readGoldenNpy<Float32Array>(`simclr-loss-${index}-grad`).data);
    });
  },
);

describe.each(readGoldenJson<ScanCase[]>('scan-loss'))('SCAN’s losses, case $case', (expected) => {
  it('have the reference’s clustering loss and gradients', () => {
    const [anchors, neighbors] = [
      read(`scan-loss-${expected.case}-anchors`),
      read(`scan-loss-${expected.case}-neighbors`),
    ];
    const { total, consistency, entropy } = scanLoss(anchors, neighbors, expected.entropy_weight);
    expect(total.dataSync()[0]).toBeCloseTo(expected.total, lossDigits);
    expect(consistency.dataSync()[0]).toBeCloseTo(expected.consistency, lossDigits);
    expect(entropy.dataSync()[0]).toBeCloseTo(expected.entropy, lossDigits);
    const gradients = tf.grads(
      (a: tf.Tensor, n: tf.Tensor) => scanLoss(a as tf.Tensor2D, n as tf.Tensor2D, expected.entropy_weight).total,
    );
    const [anchorsGradient, neighborsGradient] = gradients([anchors, neighbors]);
    expectClose(
      anchorsGradient?.dataSync(),
      readGoldenNpy<Float32Array>(`scan-loss-${expected.case}-anchors-grad`).data,
    );
    expectClose(
      neighborsGradient?.dataSync(),
      readGoldenNpy<Float32Array>(`scan-loss-${expected.case}-neighbors-grad`).data,
    );
  });

  it('have the reference’s self-labelling loss and gradient', () => {
    const [weak, strong] = [
      read(`selflabel-loss-${expected.case}-weak`),
      read(`selflabel-loss-${expected.case}-strong`),
    ];
    const { threshold, class_balancing: classBalancing, loss } = expected.selflabel;
    const { value, grad } = tf.valueAndGrad((x: tf.Tensor) =>
      selfLabelLoss(weak, x as tf.Tensor2D, { threshold, classBalancing }),
    )(strong);
    expect(value.dataSync()[0]).toBeCloseTo(loss, lossDigits);
    expectClose(grad.dataSync(), readGoldenNpy<Float32Array>(`selflabel-loss-${expected.case}-strong-grad`).data);
  });
});

describe('learning rates', () => {
  const cases = Object.entries(readGoldenJson<Record<string, ScheduleCase>>('lr-schedules'));
  it.each(cases)('follow the reference: %s', (_, { scheduler, lr, kwargs, epochs, values }) => {
    const decayRate = kwargs.lr_decay_rate ?? 1;
    const schedules: Record<ScheduleCase['scheduler'], LearningRateSchedule> = {
      constant: { kind: 'constant' },
      cosine: { kind: 'cosine', decayRate },
      step: { kind: 'step', decayRate, decayEpochs: kwargs.lr_decay_epochs ?? [] },
    };
    values.forEach((value, epoch) => {
      // float64 on both sides: the last digits may differ by the order of two multiplications.
      expect(Math.abs(learningRate(schedules[scheduler], lr, epoch, epochs) / value - 1)).toBeLessThan(1e-12);
    });
  });
});

function read(name: string): tf.Tensor2D {
  const { data, shape } = readGoldenNpy<Float32Array>(name);
  return tf.tensor2d(data, shape as [number, number]);
}

function expectClose(values: ArrayLike<number> | undefined, expected: Float32Array): void {
  expect(values?.length).toBe(expected.length);
  const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  const worst = expected.reduce(
    (largest, value, index) => Math.max(largest, Math.abs(value - (values?.[index] ?? Number.NaN))),
    0,
  );
  expect(worst).toBeLessThan(gradientTolerance * Math.max(scale, 1e-2));
}
