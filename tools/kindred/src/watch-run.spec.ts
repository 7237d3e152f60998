import { Run, RunState } from '@kindred/protocol/training';
import { describe, expect, it } from 'vitest';
import { assertSucceeded, hasEnded } from './watch-run.js';

describe('the end of a watched run', () => {
  it('is not awaited for a paused run: that is an error which says what is full', () => {
    expect(hasEnded(RunState.PAUSED)).toBe(true);
    expect(hasEnded(RunState.RUNNING)).toBe(false);
    const failure = { code: 'RESOURCE_EXHAUSTED', message: 'no space left in /data' };
    const run = Run.fromPartial({ runId: 'r1', state: RunState.PAUSED, failure });
    expect(() => assertSucceeded(run)).toThrow(
      expect.objectContaining({
        code: 'RESOURCE_EXHAUSTED',
        message: expect.stringMatching(/paused.*\/data/) as string,
      }) as Error,
    );
  });
});
