import { KindredError } from '@kindred/errors';
import { describe, expect, it } from 'vitest';
import { resumable } from './pretext-command.js';

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

  it('leaves other errors as they are', () => {
    const error = new KindredError('INVALID_ARGUMENT', 'epochs: got -1');
    expect(resumable(error, resume, '/data')).toBe(error);
  });
});
