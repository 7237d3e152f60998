import type { PodState } from '@kindred/kubernetes-jobs';
import { describe, expect, it } from 'vitest';
import { faultsSince, podEndOf, type PodEnd } from './pod-ends.js';

const pod: PodState = {
  name: 'r1-x4x2p',
  uid: 'uid',
  labels: {},
  jobUid: 'job',
  phase: 'Failed',
  node: 'gpu-1',
  createTime: '2026-01-01T00:00:00.000Z',
  deleting: false,
  waits: null,
  disruption: null,
  exit: { code: 1, reason: 'Error', time: '2026-01-01T00:01:00.000Z' },
};
const ended = (code: number): PodState['exit'] => ({ code, reason: 'Error', time: '2026-01-01T00:01:00.000Z' });

describe('podEndOf', () => {
  it.each([
    // Kueue suspends the Job, or a person deletes the pod: no word of the cluster's but the deletion itself.
    ['deleted, and told to stop', { deleting: true, exit: ended(143) }, 'deleted'],
    ['deleted, and killed at the end of its grace', { deleting: true, exit: ended(137) }, 'deleted'],
    ['killed by itself', { exit: ended(137) }, 'exited'],
    ['at fault before it was deleted', { deleting: true, exit: ended(1) }, 'exited'],
    ['out of memory', { exit: { ...ended(137)!, reason: 'OOMKilled' } }, 'out-of-memory'],
    ['preempted', { exit: ended(143), disruption: { reason: 'PreemptionByScheduler', message: '' } }, 'preempted'],
    ['done', { phase: 'Succeeded', exit: ended(0) }, 'completed'],
  ] as const)('says why a pod has ended: %s', (_, change, reason) => {
    expect(podEndOf({ ...pod, ...change }, 0).reason).toBe(reason);
  });

  it('counts no deletion among the faults', () => {
    const end = (number: number, change: Partial<PodState>): PodEnd => ({
      ...podEndOf({ ...pod, ...change }, number),
      log: '',
    });
    const ends = [end(0, {}), end(1, { deleting: true, exit: ended(143) }), end(2, { exit: ended(137) })];
    expect(faultsSince(ends, 'job', '')).toBe(2);
  });
});
