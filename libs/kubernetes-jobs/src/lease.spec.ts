import { KindredError } from '@kindred/errors';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { holdLease, type LeaseCalls, type LeaseState } from './index.js';

const durationMs = 12_000;

describe('lease', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] }));
  afterEach(() => void vi.useRealTimers());

  /** An API server with one lease; `away`: it does not answer. */
  const server = () => {
    const state = { lease: null as LeaseState | null, away: false, version: 0, writes: [] as string[] };
    const put = (lease: Omit<LeaseState, 'resourceVersion'>): LeaseState => {
      state.writes.push(lease.holder);
      return (state.lease = { ...lease, resourceVersion: String(++state.version) });
    };
    const answer = <T>(work: () => T): Promise<T> =>
      state.away ? Promise.reject(new KindredError('UNAVAILABLE', 'away')) : Promise.resolve().then(work);
    const calls: LeaseCalls = {
      read: () => answer(() => state.lease),
      create: (_, lease) =>
        answer(() => {
          if (state.lease !== null) throw new KindredError('ALREADY_EXISTS', 'there is one');
          return put(lease);
        }),
      replace: (_, read, lease) =>
        answer(() => {
          if (state.lease?.resourceVersion !== read.resourceVersion)
            throw new KindredError('ALREADY_EXISTS', 'another version');
          return put(lease);
        }),
    };
    return { state, calls };
  };
  const hold = (calls: LeaseCalls, identity: string) => {
    const told: string[] = [];
    const lease = holdLease({
      calls,
      name: 'l',
      identity,
      durationMs,
      onLost: () => told.push('lost'),
      onTrouble: (error) => void (error !== null && told.push(error.code)),
    });
    let acquired = false;
    void lease.acquired.then(() => (acquired = true));
    return { lease, told, isAcquired: () => acquired };
  };
  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
  const end = async (...leases: { close(): Promise<void> }[]): Promise<void> => {
    for (const lease of leases) {
      const closed = lease.close();
      await pass(0);
      await closed;
    }
  };

  it('is held by one; the other waits, and takes over at once where it is given back', async () => {
    const { state, calls } = server();
    const first = hold(calls, 'a');
    await pass(100);
    const second = hold(calls, 'b');
    await pass(10 * durationMs);
    expect([first.lease.isHeld, second.lease.isHeld, second.lease.holder]).toEqual([true, false, 'a']);
    await end(first.lease);
    expect(state.lease?.holder).toBe('');
    await pass(durationMs / 12 + 1);
    expect([second.isAcquired(), second.lease.isHeld]).toEqual([true, true]);
    expect(state.lease).toMatchObject({ holder: 'b', transitions: 1 });
    expect(first.told).toEqual([]);
    await end(second.lease);
  });

  it('of a holder that says nothing more is taken after its whole time, and not before', async () => {
    const { state, calls } = server();
    state.lease = {
      resourceVersion: '0',
      holder: 'gone',
      durationMs: 3 * durationMs,
      transitions: 4,
      acquireTime: new Date(),
    };
    const one = hold(calls, 'b');
    await pass(3 * durationMs - 1);
    expect(one.isAcquired()).toBe(false);
    await pass(durationMs / 12 + 1);
    expect(one.isAcquired()).toBe(true);
    expect(state.lease).toMatchObject({ holder: 'b', transitions: 5 });
    await end(one.lease);
  });

  it('goes to one of two that want it in the same instant', async () => {
    const { calls } = server();
    const both = [hold(calls, 'a'), hold(calls, 'b')];
    await pass(5 * durationMs);
    expect(both.map(({ lease }) => lease.isHeld).sort()).toEqual([false, true]);
    await end(...both.map(({ lease }) => lease));
  });

  it('is not counted on before others may take it, and is again once the API has answered that it is still the own', async () => {
    const { state, calls } = server();
    const one = hold(calls, 'a');
    await pass(100);
    state.away = true;
    await pass(durationMs * 0.75);
    expect(one.lease.isHeld).toBe(true);
    await pass(durationMs * 0.15);
    expect(one.lease.isHeld).toBe(false);
    expect(one.told).toContain('UNAVAILABLE');
    await pass(5 * durationMs);
    state.away = false;
    await pass(durationMs / 12 + 1);
    expect(one.lease.isHeld).toBe(true);
    expect(one.told).not.toContain('lost');
    await end(one.lease);
  });

  it('is lost to another that took it meanwhile, and not asked for again', async () => {
    const { state, calls } = server();
    const one = hold(calls, 'a');
    await pass(100);
    state.lease = { ...(state.lease as LeaseState), resourceVersion: '99', holder: 'b' };
    const written = state.writes.length;
    await pass(2 * durationMs);
    expect(one.told).toEqual(['lost']);
    expect(one.lease.isHeld).toBe(false);
    await pass(5 * durationMs);
    await end(one.lease);
    expect(state.writes).toHaveLength(written);
    expect(state.lease.holder).toBe('b');
  });

  it('is at once held by the successor of the same name', async () => {
    const { calls } = server();
    const killed = hold(calls, 'pod-1');
    await pass(100);
    const next = hold(calls, 'pod-1');
    await pass(100);
    expect(next.isAcquired()).toBe(true);
    await end(killed.lease, next.lease);
  });
});
