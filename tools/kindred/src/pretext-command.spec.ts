import { KindredError } from '@kindred/errors';
import { Run, RunState } from '@kindred/protocol/training';
import { describe, expect, it } from 'vitest';
import { resumable } from './pretext-command.js';
import { assertSucceeded } from './watch-run.js';

const resume = 'kindred pretext --data d --resume r1';

describe('what is said when a run that has begun cannot go on', () => {
  it('names the command that goes on, after a service was away and after a full disk', () => {
    const away = new KindredError('UNAVAILABLE', 'no answer from trainer', {
      resource: { type: 'service', name: 'trainer' },
    });
    expect(resumable(away, resume, '/data')).toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining(resume),
      resource: { name: 'trainer' },
    });
    const full = resumable(new KindredError('RESOURCE_EXHAUSTED', 'no space left'), resume, '/data');
    expect(full).toMatchObject({ code: 'RESOURCE_EXHAUSTED', message: expect.stringMatching(/\/data.*--resume r1/) });
  });

  it('names the data folder only where space is needed', () => {
    const busy = resumable(new KindredError('RESOURCE_EXHAUSTED', '4 runs wait already'), resume, '/data');
    expect(busy).toMatchObject({ message: `4 runs wait already; go on with the run by: ${resume}` });
  });

  it.each([
    ['cancelled', RunState.CANCELLED, undefined],
    ['paused', RunState.PAUSED, { code: 'RESOURCE_EXHAUSTED', message: 'no space left' }],
  ])('gives one advice for a %s run', (_, state, failure) => {
    let thrown: unknown;
    try {
      assertSucceeded(Run.fromPartial({ runId: 'r1', state, failure }));
    } catch (error) {
      thrown = error;
    }
    const { message } = resumable(thrown, 'kindred runs resume r1', '/data') as KindredError;
    expect(message).toMatch(/; go on with the run by: kindred runs resume r1$/);
    expect(message.match(/go on/g)).toHaveLength(1);
    expect(message).not.toContain('--resume');
  });

  it('advises nothing where going on would fail again', () => {
    const failure = { code: 'FAILED_PRECONDITION', message: 'loss is NaN' };
    const run = Run.fromPartial({ runId: 'r1', state: RunState.FAILED, failure });
    expect(() => assertSucceeded(run)).toThrow(expect.objectContaining({ resource: null }) as Error);
    const overflow = new KindredError('FAILED_PRECONDITION', 'run r1 failed: loss is NaN');
    expect(resumable(overflow, resume, '/data')).toBe(overflow);
  });

  it('leaves other errors as they are', () => {
    const error = new KindredError('INVALID_ARGUMENT', 'epochs: got -1');
    expect(resumable(error, resume, '/data')).toBe(error);
  });
});
