import { KindredError, type ErrorFields } from '@kindred/errors';
import { TrainingServiceDefinition } from '@kindred/protocol/training';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { connect, createLogger, createPeerPolicy, openClient, startService } from './index.js';
import { trainingHandlers } from './spec/training-stand-in.js';

const down = (fields: ErrorFields = {}): KindredError => new KindredError('UNAVAILABLE', 'down', fields);

describe('patience', () => {
  it('tries again until the peer answers', async () => {
    const attempt = vi.fn().mockRejectedValueOnce(down()).mockRejectedValueOnce(down()).mockResolvedValue('answer');
    expect(await createPeerPolicy({ service: 'a', pauseMs: 1 }).call<string>(attempt)).toBe('answer');
    expect(attempt).toHaveBeenCalledTimes(3);
  });

  it('does not repeat what would fail again', async () => {
    const attempt = vi.fn().mockRejectedValue(new KindredError('INVALID_ARGUMENT', 'k: got 0'));
    await expect(createPeerPolicy({ service: 'b' }).call(attempt)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(attempt).toHaveBeenCalledTimes(1);
  });

  it('waits as long as the peer asks for, and not past the deadline', async () => {
    const full = new KindredError('RESOURCE_EXHAUSTED', 'full', { retryAfterMs: 300 });
    const attempt = vi.fn().mockRejectedValueOnce(full).mockResolvedValue('answer');
    const policy = createPeerPolicy({ service: 'c' });
    const began = performance.now();
    expect(await policy.call<string>(attempt)).toBe('answer');
    // A timer may fire a millisecond early.
    expect(performance.now() - began).toBeGreaterThanOrEqual(299);

    const late = vi.fn().mockRejectedValue(full);
    await expect(policy.call(late, { deadlineMs: 200 })).rejects.toBe(full);
    expect(late).toHaveBeenCalledTimes(1);
  });

  it('lets a peer be that is down, then sees whether it is back', async () => {
    const policy = createPeerPolicy({ service: 'd', maxAttempts: 1, breakAfter: 3, breakMs: 50 });
    const dead = vi.fn().mockRejectedValue(down());
    for (let i = 0; i < 3; i++) await expect(policy.call(dead)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(policy.state()).toBe('open');
    await expect(policy.call(dead)).rejects.toMatchObject({ code: 'UNAVAILABLE', retryAfterMs: 50 });
    expect(dead).toHaveBeenCalledTimes(3);
    await vi.waitFor(async () => expect(await policy.call(() => Promise.resolve('back'))).toBe('back'), {
      timeout: 20_000,
    });
    expect(policy.state()).toBe('closed');
  });

  it('does not take a busy peer for a dead one', async () => {
    const policy = createPeerPolicy({ service: 'e', maxAttempts: 1, breakAfter: 2 });
    const busy = new KindredError('RESOURCE_EXHAUSTED', 'full', { retryAfterMs: 1 });
    for (let i = 0; i < 5; i++) await expect(policy.call(() => Promise.reject(busy))).rejects.toBe(busy);
    expect(policy.state()).toBe('closed');
  });
});

describe('deadlines', () => {
  const open: { close(): unknown }[] = [];
  afterEach(async () => {
    for (const thing of open.splice(0).reverse()) await thing.close();
  });
  const start = async (handlers: Parameters<typeof trainingHandlers>[0]) => {
    const service = await startService({
      name: 'trainer',
      logger: createLogger('trainer', 'silent'),
      network: { host: '127.0.0.1', port: 0, metricsPort: 0, drainMs: 100, maxConnectionAgeMs: 0 },
      register: (registrar) => registrar.add(TrainingServiceDefinition, trainingHandlers(handlers)),
    });
    const connection = connect(TrainingServiceDefinition, {
      service: 'trainer',
      address: service.address,
      security: openClient,
    });
    open.push(service, connection);
    return connection.client;
  };

  it('go from a call to the calls that it makes, and end them there', { timeout: 60_000 }, async () => {
    let ended: () => void = () => {};
    const peerEnded = new Promise<void>((resolve) => (ended = resolve));
    const peer = await start({
      listRuns: () => Promise.resolve({}),
      getRun: (_, { signal }) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => {
            ended();
            reject(new KindredError('CANCELLED', 'too late'));
          }),
        ),
    });
    // Gives the peer no deadline of its own.
    const front = await start({ getRun: () => peer.getRun({}), listRuns: () => peer.listRuns({}) });
    await front.listRuns({});
    await expect(front.getRun({}, { deadlineMs: 1000 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await peerEnded;
  });

  it('leave a call without one alone', async () => {
    const client = await start({ getRun: () => Promise.resolve({ run: { runId: 'r' } }) });
    expect((await client.getRun({})).run?.runId).toBe('r');
    expect((await client.getRun({}, { deadlineMs: 60_000 })).run?.runId).toBe('r');
  });
});
