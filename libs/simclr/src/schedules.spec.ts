// Warm-up schedules against PyTorch's schedulers, recorded (testdata/recorded); the others are in golden.spec.ts.
import { readRecordedJson } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { learningRate } from './schedules.js';
import type { LearningRateSchedule } from './schedules.js';

interface ScheduleCase {
  readonly kind: 'cosine' | 'step';
  readonly lr: number;
  readonly decay_rate: number;
  readonly decay_epochs?: readonly number[];
  readonly start_factor: number;
  readonly warmup_epochs: number;
  readonly epochs: number;
  readonly steps_per_epoch: number;
  readonly values: readonly number[];
}

// PyTorch makes each rate from the one before it: rounding adds up over a run.
const relativeTolerance = 1e-9;

describe('warm-up', () => {
  const { cases } = readRecordedJson<{ cases: ScheduleCase[] }>('warm-up-schedules');
  it.each(cases)('and $kind are PyTorch’s over $epochs epochs of $steps_per_epoch steps', (recorded) => {
    const { kind, decay_rate: decayRate, decay_epochs: decayEpochs = [] } = recorded;
    const warmUp = { epochs: recorded.warmup_epochs, startFactor: recorded.start_factor };
    const schedule: LearningRateSchedule = { kind, decayRate, decayEpochs, warmUp };
    expect(recorded.values).toHaveLength(recorded.epochs * recorded.steps_per_epoch);
    recorded.values.forEach((value, step) => {
      const rate = learningRate(schedule, recorded.lr, step / recorded.steps_per_epoch, recorded.epochs);
      expect(Math.abs(rate / value - 1)).toBeLessThan(relativeTolerance);
    });
  });

  it('reaches the constant rate and stays there', () => {
    const schedule: LearningRateSchedule = { kind: 'constant', warmUp: { epochs: 4, startFactor: 0 } };
    const rates = [0, 1, 2, 3, 4, 5, 9].map((epoch) => learningRate(schedule, 2, epoch, 10));
    expect(rates).toEqual([0, 0.5, 1, 1.5, 2, 2, 2]);
  });

  it('leaves the drops of the step schedule between epochs', () => {
    const schedule: LearningRateSchedule = { kind: 'step', decayRate: 0.5, decayEpochs: [3] };
    expect([3, 3.75, 4, 4.25].map((epoch) => learningRate(schedule, 1, epoch, 10))).toEqual([1, 1, 0.5, 0.5]);
  });

  it.each([
    { epochs: 10, startFactor: 0.1 },
    { epochs: 0, startFactor: 0.1 },
    { epochs: 3, startFactor: 1.1 },
    { epochs: 3, startFactor: -0.1 },
    { epochs: NaN, startFactor: 0.1 },
  ])('refuses %o in a run of 10 epochs', (warmUp) => {
    expect(() => learningRate({ kind: 'constant', warmUp }, 1, 0, 10)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });
});
