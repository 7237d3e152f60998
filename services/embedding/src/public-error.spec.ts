// No path of the server in what callers read.
import { KindredError, notFound } from '@kindred/errors';
import { describe, expect, it } from 'vitest';
import { publicError } from './public-error.js';

describe('public error', () => {
  it.each([
    Object.assign(new Error("EACCES: permission denied, open '/srv/artifacts/a'"), { code: 'EACCES' }),
    Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', path: '/srv/artifacts/a' }),
    new KindredError('RESOURCE_EXHAUSTED', 'no space left in /srv/artifacts', {
      resource: { type: 'folder', name: '/srv/artifacts' },
    }),
    new KindredError('FAILED_PRECONDITION', '/srv/a cannot be read', { resource: { type: 'file', name: '/srv/a' } }),
  ])('names no file or folder (%s)', (thrown) => {
    const { message, resource, code } = publicError(thrown);
    expect(`${message} ${resource?.name ?? ''}`).not.toContain('/srv');
    expect(code).not.toBe('');
  });

  it('keeps what callers can act on', () => {
    const missing = notFound('model', 'cats');
    expect(publicError(missing)).toBe(missing);
    const full = new KindredError('RESOURCE_EXHAUSTED', 'full', {
      resource: { type: 'folder', name: '/a' },
      retryAfterMs: 7,
    });
    expect(publicError(full)).toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryAfterMs: 7 });
  });
});
