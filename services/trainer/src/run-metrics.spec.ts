import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { gauge } from '@kindred/service-runtime';
import { countRun, uncountRun } from './run-metrics.js';

const values = async (name: string, labels: readonly string[]): Promise<Record<string, number>> => {
  const { values: found } = await gauge(name, '', labels).get();
  return Object.fromEntries(found.map(({ labels: of, value }) => [Object.values(of).join(), value]));
};

describe('metrics of runs', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
  afterEach(() => void vi.useRealTimers());

  it('count runs by state and by what they wait for, and tell how long the longest has waited', async () => {
    countRun('a', 'starting');
    countRun('b', null);
    vi.advanceTimersByTime(60_000);
    countRun('c', 'quota');
    countRun('a', 'scheduling');
    expect(await values('kindred_trainer_runs', ['state'])).toEqual({ running: 1, pending: 2 });
    expect(await values('kindred_trainer_waiting_runs', ['reason'])).toMatchObject({
      scheduling: 1,
      quota: 1,
      starting: 0,
    });
    expect(await values('kindred_trainer_longest_wait_seconds', [])).toEqual({ '': 60 });
    countRun('a', null);
    expect(await values('kindred_trainer_longest_wait_seconds', [])).toEqual({ '': 0 });
    for (const runId of ['a', 'b', 'c']) uncountRun(runId);
    expect(await values('kindred_trainer_runs', ['state'])).toEqual({ running: 0, pending: 0 });
  });
});
