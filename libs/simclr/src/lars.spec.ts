// LARS against its formula in float64 and against lightly's optimizer, recorded (testdata/recorded).
import { readRecordedJson } from '@kindred/testing';
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { larsUpdate, resolveLarsOptions } from './lars.js';
import { momentumGradient, resolveOptimizer } from './optimizer.js';
import { sgdUpdate } from './sgd.js';

interface LarsCase {
  readonly nesterov: boolean;
  readonly weight_decay: number;
  readonly momentum: number;
  readonly trust_coefficient: number;
  readonly shape: [number, number];
  readonly weight: readonly number[];
  readonly bias: readonly number[];
  readonly steps: readonly {
    readonly lr: number;
    readonly gradient: { readonly weight: readonly number[]; readonly bias: readonly number[] };
    readonly weight: readonly number[];
    readonly bias: readonly number[];
    readonly buffer: readonly number[];
  }[];
}

// float32 on both sides, and lightly's 1e-8 in the denominator beside gradients of norm 3e-3.
const relativeTolerance = 1e-5;

describe('larsUpdate', () => {
  const { cases } = readRecordedJson<{ cases: LarsCase[] }>('lars');
  it.each(cases)('is lightly’s LARS (nesterov $nesterov, weight decay $weight_decay)', (recorded) => {
    const options = resolveLarsOptions({
      momentum: recorded.momentum,
      weightDecay: recorded.weight_decay,
      nesterov: recorded.nesterov,
      trustCoefficient: recorded.trust_coefficient,
    });
    let weight = start(recorded.weight, recorded.shape);
    let bias = start(recorded.bias);
    for (const { lr, gradient, ...expected } of recorded.steps) {
      const [weightGradient, biasGradient] = [
        tf.tensor([...gradient.weight], recorded.shape),
        tf.tensor1d([...gradient.bias]),
      ];
      weight = larsUpdate(weight.parameter, weight.buffer, weightGradient, tf.scalar(lr), options, 'linear-weight');
      bias = larsUpdate(bias.parameter, bias.buffer, biasGradient, tf.scalar(lr), options, 'linear-bias');
      expectClose(weight.parameter, expected.weight);
      expectClose(weight.buffer, expected.buffer);
      expectClose(bias.parameter, expected.bias);
    }
  });

  it('is You et al.’s equation 6 in float64', () => {
    const [w, g, decay] = [[0.3, -1.2, 2.5], [0.02, 0.5, -0.1], 0.05];
    const norm2 = (x: number[]): number => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
    const trust = (0.02 * norm2(w)) / (norm2(g) + decay * norm2(w));
    const expected = w.map((value, i) => value - 0.7 * trust * ((g[i] ?? 0) + decay * value));
    const options = resolveLarsOptions({ weightDecay: decay, trustCoefficient: 0.02 });
    const [parameter, gradient] = [tf.tensor1d(w), tf.tensor1d(g)];
    const update = larsUpdate(parameter, tf.zeros([3]), gradient, tf.scalar(0.7), options, 'linear-weight');
    expectClose(update.parameter, expected);
  });

  it('moves a layer by the trust coefficient times its norm at rate 1, whatever the gradient’s size', () => {
    const options = resolveLarsOptions({ momentum: 0 });
    for (const size of [1e-6, 1, 1e6]) {
      const parameter = tf.randomNormal([5, 5], 0, 3, 'float32', 4);
      const gradient = tf.randomNormal([5, 5], 0, size, 'float32', 5);
      const [zeros, one] = [tf.zeros([5, 5]), tf.scalar(1)];
      const moved = larsUpdate(parameter, zeros, gradient, one, options, 'convolution-weight').parameter;
      // Beside the parameter's rounding: 0.001 of it is moved, so four digits are left.
      expect(norm(tf.sub(moved, parameter)) / norm(parameter)).toBeCloseTo(0.001, 6);
    }
  });

  it.each(['norm-weight', 'norm-bias', 'linear-bias'] as const)('leaves %s to SGD without decay', (kind) => {
    const options = resolveLarsOptions({ weightDecay: 0.5 });
    const [p, b, g, rate] = [tf.tensor1d([1, -2]), tf.tensor1d([0.5, 1]), tf.tensor1d([3, 4]), tf.scalar(0.1)];
    const plain = sgdUpdate(p, b, g, rate, { momentum: 0.9, weightDecay: 0, nesterov: false });
    const got = larsUpdate(p, b, g, rate, options, kind);
    expect([...got.parameter.dataSync()]).toEqual([...plain.parameter.dataSync()]);
    expect([...got.buffer.dataSync()]).toEqual([...plain.buffer.dataSync()]);
  });

  it('takes weights or gradients of zero unscaled', () => {
    const options = resolveLarsOptions({ momentum: 0, weightDecay: 0.1 });
    const update = (p: number[], g: number[]): number[] => [
      ...larsUpdate(tf.tensor1d(p), tf.zeros([2]), tf.tensor1d(g), tf.scalar(1), options, 'linear-weight')
        .parameter.dataSync()
        .map((value) => Number(value.toFixed(6))),
    ];
    expect(update([0, 0], [1, 2])).toEqual([-1, -2].map(Math.fround));
    expect(update([1, 2], [0, 0])).toEqual([0.9, 1.8].map(Math.fround));
  });

  it('refuses impossible options', () => {
    for (const options of [{ trustCoefficient: 0 }, { trustCoefficient: NaN }, { momentum: 1 }, { weightDecay: -1 }]) {
      expect(() => resolveLarsOptions(options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    }
  });
});

describe('momentumGradient', () => {
  it('with the momentum step makes both optimizers', () => {
    const [p, b, g, rate] = [tf.tensor1d([1, -2]), tf.tensor1d([0.5, 1]), tf.tensor1d([3, 4]), tf.scalar(0.1)];
    const sgd = resolveOptimizer({ momentum: 0.5, weightDecay: 0.1 });
    const lars = resolveOptimizer({ kind: 'lars', momentum: 0.5, weightDecay: 0.1 });
    if (sgd.kind !== 'sgd' || lars.kind !== 'lars') throw new Error('resolved to another optimizer');
    const step = (gradient: tf.Tensor): number[] => [
      ...sgdUpdate(p, b, gradient, rate, { momentum: 0.5, weightDecay: 0, nesterov: false }).parameter.dataSync(),
    ];
    for (const kind of ['linear-weight', 'norm-bias'] as const) {
      expect(step(momentumGradient(p, g, kind, sgd))).toEqual([...sgdUpdate(p, b, g, rate, sgd).parameter.dataSync()]);
      const expected = larsUpdate(p, b, g, rate, lars, kind).parameter;
      expect(step(momentumGradient(p, g, kind, lars))).toEqual([...expected.dataSync()]);
    }
  });

  it('is SGD where no kind is given, with PyTorch’s momentum 0, and LARS with 0.9', () => {
    expect(resolveOptimizer({})).toEqual({ kind: 'sgd', momentum: 0, weightDecay: 0, nesterov: false });
    expect(resolveOptimizer({ kind: 'lars' })).toMatchObject({ kind: 'lars', momentum: 0.9, trustCoefficient: 0.001 });
  });
});

function start(values: readonly number[], shape = [values.length]): { parameter: tf.Tensor; buffer: tf.Tensor } {
  return { parameter: tf.tensor([...values], shape), buffer: tf.zeros(shape) };
}

function norm(x: tf.Tensor): number {
  return tf.norm(x).dataSync()[0] ?? NaN;
}

function expectClose(tensor: tf.Tensor, expected: readonly number[]): void {
  const scale = Math.max(...expected.map(Math.abs));
  const values = tensor.dataSync();
  expect(values).toHaveLength(expected.length);
  expected.forEach((value, i) => expect(Math.abs((values[i] ?? NaN) - value)).toBeLessThan(relativeTolerance * scale));
}
