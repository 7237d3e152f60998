import { describe, expect, it } from 'vitest';
import { afterEpoch, afterStep, beginning, isBest, isCheckpointDue, isOver, stopReason } from './progress.js';
import type { Progress, RunLength } from './progress.js';

const length: RunLength = { epochs: 4, checkpointSteps: 0, limitSteps: 0, earlyStop: null };

/** Runs epochs of `steps` steps with the given checks until the run is over; says where checkpoints are written. */
function walk(checks: readonly number[], steps: number, plan: RunLength) {
  let progress: Progress = beginning;
  const checkpoints: number[] = [];
  const visit = (): boolean => {
    if (isCheckpointDue(progress, plan)) checkpoints.push(progress.stepsCompleted);
    return isOver(progress, plan);
  };
  for (const top1 of checks) {
    for (let step = 0; step < steps; step++) {
      progress = afterStep(progress, 1);
      if (step < steps - 1 && visit()) return { progress, checkpoints };
    }
    progress = afterEpoch(progress, top1, plan);
    if (visit()) break;
  }
  return { progress, checkpoints };
}

describe('progress', () => {
  it('writes a checkpoint after each epoch, by default', () => {
    expect(walk([1, 2, 3, 4], 5, length).checkpoints).toEqual([5, 10, 15, 20]);
  });

  it('writes one every so many steps, at the best check and at the end', () => {
    const plan = { ...length, checkpointSteps: 3 };
    expect(walk([9, 1, 1, 1], 5, plan).checkpoints).toEqual([3, 5, 6, 9, 12, 15, 18, 20]);
    expect(walk([1, 2, 2, 2], 5, { ...length, checkpointSteps: 1000 }).checkpoints).toEqual([5, 10, 20]);
  });

  it('counts only a higher check as the best', () => {
    const { progress } = walk([3, 5, 5, 4], 2, length);
    expect(progress.best).toEqual({ top1: 5, epochsTrained: 2 });
    expect(isBest(progress)).toBe(false);
    expect(isBest(afterEpoch(progress, 5.1, length))).toBe(true);
    expect(isBest(afterStep(afterEpoch(progress, 5.1, length), 1))).toBe(false);
  });

  it('ends after limit_steps, in the middle of an epoch or at its end', () => {
    for (const limitSteps of [1, 4, 5, 7, 10]) {
      const { progress, checkpoints } = walk([1, 2, 3, 4], 5, { ...length, limitSteps });
      expect(progress.stepsCompleted).toBe(limitSteps);
      expect(stopReason(progress, { ...length, limitSteps })).toBe('limit-steps');
      expect(checkpoints.at(-1)).toBe(limitSteps);
    }
    const { progress } = walk([1, 2, 3, 4], 5, { ...length, limitSteps: 20 });
    expect(stopReason(progress, { ...length, limitSteps: 20 })).toBeNull();
  });

  it('ends when the check has not risen by more than min_delta for as many checks as allowed', () => {
    const plan = { ...length, epochs: 100, earlyStop: { patience: 2, minDelta: 1 } };
    const checks = [10, 12, 12.5, 14, 14.6, 15, 99];
    const { progress } = walk(checks, 1, plan);
    expect(progress.epochsCompleted).toBe(6);
    expect(stopReason(progress, plan)).toBe('early-stop');
    expect(progress.best).toEqual({ top1: 15, epochsTrained: 6 });
    expect(walk([1, 1, 1, 1], 1, { ...length, earlyStop: { patience: 3, minDelta: 0 } }).progress.epochsCompleted).toBe(
      4,
    );
  });
});
