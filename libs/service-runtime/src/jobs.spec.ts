import { describe, expect, it } from 'vitest';
import { invalidField } from '@kindred/errors';
import { createJobs } from './jobs.js';

const never = new AbortController().signal;

describe('jobs', () => {
  it('shows progress to a watcher and ends with the result', async () => {
    const jobs = createJobs<{ done: number }>('job', 2);
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const { id } = jobs.start({ done: 0 }, async ({ report }) => {
      report({ done: 1 });
      await held;
      return { done: 2 };
    });
    const seen: [string, number][] = [];
    for await (const { state, progress } of jobs.watch(id, never)) {
      seen.push([state, progress.done]);
      release();
    }
    expect(seen).toEqual([
      ['running', 1],
      ['succeeded', 2],
    ]);
  });

  it('keeps the error of a failed job, and cancels by signal', async () => {
    const jobs = createJobs<object>('job', 2);
    const failed = jobs.start({}, () => Promise.reject(invalidField('k', 'got 0; allowed: 1')));
    for await (const _ of jobs.watch(failed.id, never));
    const endless = jobs.start(
      {},
      ({ signal }) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
    );
    jobs.cancel(endless.id);
    await jobs.close();
    expect(jobs.get(failed.id)).toMatchObject({ state: 'failed', error: { code: 'INVALID_ARGUMENT' } });
    expect(jobs.get(endless.id).state).toBe('cancelled');
    expect(() => jobs.get('x')).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }) as Error);
  });

  it('refuses more than may run', async () => {
    const jobs = createJobs<object>('job', 1);
    jobs.start({}, ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())));
    expect(() => jobs.start({}, () => Promise.resolve())).toThrow(
      expect.objectContaining({ code: 'RESOURCE_EXHAUSTED' }) as Error,
    );
    await jobs.close();
  });
});
