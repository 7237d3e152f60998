// Steps whose views come one step ahead, against steps that are handed them when they run.
import { createArchitecture, initialParameters } from '@kindred/simclr';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { compile } from './compile.js';
import { loadTensorFlow } from './runtime.js';
import { createTrainer } from './trainer.js';
import type { ProgramDefinition } from './program-definition.js';
import type { TrainerOptions, TrainerState } from './trainer.js';

const runtime = loadTensorFlow();
const side = 8;

const options: TrainerOptions = {
  architecture: createArchitecture({ width: 16, featureDim: 16 }),
  parameters: initialParameters(createArchitecture({ width: 16, featureDim: 16 }), 3),
  optimizer: { momentum: 0.9, weightDecay: 1e-3 },
  temperature: 0.2,
  normalisation: { mean: [0.5, 0.4, 0.3], std: [0.2, 0.25, 0.3] },
  batchSize: 4,
  imageSize: { height: side, width: side },
};
const batches = [0, 1, 2, 3, 4].map((salt) =>
  Uint8Array.from({ length: 8 * side * side * 3 }, (_, i) => (Math.imul(i + 977 * salt, 2654435761) >>> 11) & 255),
);

describe('a trainer that prefetches', () => {
  const train = (more: Partial<TrainerOptions>, aheadOf: (step: number) => boolean) => {
    const trainer = createTrainer({ ...options, ...more });
    const losses = batches.map((given, step) => {
      const next = aheadOf(step) ? (batches[step + 1] ?? null) : null;
      const loss = trainer.step(given, 0.05, next);
      // Evaluation and state between two steps must not touch what is staged.
      trainer.evaluate(given.subarray(0, 3 * side * side * 3), 3);
      return loss;
    });
    const state: TrainerState = trainer.state();
    trainer.dispose();
    return { losses, state };
  };

  it.each(['float32', 'bfloat16'] as const)(
    'ends with the bits of one that does not, in %s',
    { timeout: 300_000 },
    (precision) => {
      const plain = train({ precision }, () => false);
      expect(new Set(plain.losses).size).toBe(batches.length);
      // Some steps have nothing ahead, as at the end of an epoch.
      expect(train({ precision, prefetch: true }, (step) => step !== 1)).toEqual(plain);
    },
  );

  it('copies the views, and wants the same array in the next step', () => {
    const plain = train({}, () => false);
    const trainer = createTrainer({ ...options, prefetch: true });
    const [first, second, third] = batches.map((batch) => batch.slice()) as [Uint8Array, Uint8Array, Uint8Array];
    expect(trainer.prefetches).toBe(true);
    const losses = [trainer.step(first, 0.05, second)];
    expect(() => trainer.step(third, 0.05)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    second.fill(0);
    losses.push(trainer.step(second, 0.05, third));
    losses.push(trainer.step(third, 0.05));
    expect(losses).toEqual(plain.losses.slice(0, 3));
    trainer.dispose();
  });

  it('is one on a GPU only where nothing is said, and not for a batch in parts', () => {
    for (const [more, expected] of [
      [{}, runtime.device === 'gpu'],
      [{ prefetch: true, accumulateSteps: 2 }, false],
    ] as const) {
      const trainer = createTrainer({ ...options, ...more });
      expect(trainer.prefetches).toBe(expected);
      trainer.dispose();
    }
  });

  it('leaves no tensor behind', () => {
    const trainer = createTrainer({ ...options, prefetch: true });
    const run = (): void => batches.forEach((batch, step) => void trainer.step(batch, 0.05, batches[step + 1] ?? null));
    run();
    const before = [tf.memory().numTensors, runtime.backend.binding.getNumOfTensors()];
    run();
    expect([tf.memory().numTensors, runtime.backend.binding.getNumOfTensors()]).toEqual(before);
    trainer.dispose();
  });
});

describe('an input ahead', () => {
  const sum: ProgramDefinition = {
    state: { total: [] },
    functions: {
      add: {
        inputs: { x: { dtype: 'float32', shape: [2] }, factor: { dtype: 'float32', shape: [] } },
        ahead: 'x',
        call: ({ total }, { x, factor }) => {
          const next = tf.add(total as tf.Tensor, tf.mul(tf.sum(x as tf.Tensor), factor as tf.Tensor));
          return { outputs: { next }, updates: { total: next } };
        },
      },
    },
  };

  it('is what the call before was handed, in order, or else what the call is given', () => {
    const program = compile(runtime, sum);
    program.setState({ total: new Float32Array(1) });
    const add = program.functions['add'];
    const values = (...numbers: number[]): Float32Array => Float32Array.from(numbers);
    const refused = expect.objectContaining({ code: 'FAILED_PRECONDITION' });
    expect(() => add?.({ factor: values(1) })).toThrow(refused);
    expect(add?.({ x: values(1, 2), factor: values(1) }, {}, values(10, 20))['next']?.values[0]).toBe(3);
    expect(() => add?.({ x: values(5, 5), factor: values(1) })).toThrow(refused);
    expect(add?.({ factor: values(2) }, {}, values(100, 200))['next']?.values[0]).toBe(63);
    expect(add?.({ factor: values(1) })['next']?.values[0]).toBe(363);
    expect(add?.({ x: values(1, 0), factor: values(1) })['next']?.values[0]).toBe(364);
    program.dispose();
  });
});
