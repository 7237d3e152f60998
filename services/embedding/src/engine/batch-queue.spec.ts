// The queue against a network that the test holds in its hand: batches, turns, room, callers that leave.
import { setMaxListeners } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchFor, batchSizesUpTo } from './batch-sizes.js';
import { createBatchQueue, type BatchQueueOptions, type EmbeddedBatch } from './batch-queue.js';

interface Run {
  readonly values: number[];
  readonly batch: number;
  readonly count: number;
  finish(): void;
  fail(error: Error): void;
}

const never = new AbortController().signal;
// Many places of a test share it.
setMaxListeners(0, never);

/** A queue of one-byte images whose network answers each with its own value when the test says so. */
function queueInHand(options: Partial<BatchQueueOptions> = {}) {
  const runs: Run[] = [];
  const queue = createBatchQueue({
    imageBytes: 1,
    batchSizes: [1, 2, 4],
    maxDelayMs: 0,
    maxDepth: 100,
    maxBytes: 1000,
    run: (pixels, batch, count) =>
      new Promise<EmbeddedBatch>((resolve, reject) => {
        const values = [...pixels.subarray(0, count)];
        const result = { backbone: Float32Array.from(values), embedding: Float32Array.from(values) };
        runs.push({ values, batch, count, finish: () => resolve(result), fail: reject });
      }),
    ...options,
  });
  const send = (caller: object, values: readonly number[], signal = never) => {
    const place = queue.enter(caller, values.length, values.length, signal);
    return values.map((value) => place.submit(Uint8Array.of(value)).then(({ embedding }) => embedding[0]));
  };
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return { queue, runs, send, settle };
}

describe('batch queue', () => {
  it('fills batches while the network works, and gives each image its own vector', async () => {
    const { queue, runs, send, settle } = queueInHand();
    const answers = [1, 2, 3, 4, 5, 6].flatMap((value) => send({}, [value]));
    // The first went alone; four more make a full batch, which waits at the door; one stays in the queue.
    expect(runs.map(({ values }) => values)).toEqual([[1], [2, 3, 4, 5]]);
    expect(queue.depth()).toBe(1);
    runs[0]?.finish();
    await settle();
    expect(runs).toHaveLength(2);
    runs[1]?.finish();
    await settle();
    runs[2]?.finish();
    expect(await Promise.all(answers)).toEqual([1, 2, 3, 4, 5, 6]);
    await queue.idle();
  });

  it('lets callers take turns, so that a large request does not hold up a small one', async () => {
    const { runs, send, settle } = queueInHand();
    void send({}, [0]);
    const stream = {};
    void send(stream, [10, 11, 12, 13, 14, 15, 16, 17]);
    void send({}, [20]);
    void send(stream, [18, 19]);
    void send({}, [30]);
    runs[0]?.finish();
    await settle();
    runs[1]?.finish();
    await settle();
    expect(runs[1]?.values).toEqual([10, 11, 12, 13]);
    expect(runs[2]?.values).toEqual([14, 20, 30, 15]);
    for (const run of runs) run.finish();
  });

  it('refuses what does not fit, tells when to come back, and has room again afterwards', async () => {
    const { queue, runs, send } = queueInHand({ maxDepth: 3 });
    void send({}, [1]);
    const waiting = queue.enter({}, 3, 3, never);
    expect(() => queue.enter({}, 1, 1, never)).toThrow(
      expect.objectContaining({ code: 'RESOURCE_EXHAUSTED', retryAfterMs: expect.any(Number) as number }) as Error,
    );
    waiting.leave();
    waiting.leave();
    expect(queue.depth()).toBe(0);
    queue.enter({}, 3, 3, never);
    runs[0]?.finish();
  });

  it('bounds the bytes of requests, and lets one alone hold more', () => {
    const { queue } = queueInHand({ maxBytes: 10 });
    const large = queue.enter({}, 1, 40, never);
    expect(queue.fullForMs()).toBeGreaterThan(0);
    expect(() => queue.enter({}, 1, 1, never)).toThrow(
      expect.objectContaining({ code: 'RESOURCE_EXHAUSTED' }) as Error,
    );
    large.leave();
    expect(queue.fullForMs()).toBeNull();
    const first = queue.enter({}, 1, 6, never);
    expect(() => queue.enter({}, 1, 5, never)).toThrow(
      expect.objectContaining({ code: 'RESOURCE_EXHAUSTED' }) as Error,
    );
    // What has been taken into a batch is held until its request is done.
    void first.submit(Uint8Array.of(1));
    expect(() => queue.enter({}, 1, 5, never)).toThrow(
      expect.objectContaining({ code: 'RESOURCE_EXHAUSTED' }) as Error,
    );
    first.leave();
    queue.enter({}, 1, 5, never).leave();
  });

  it('is full for everybody until there is room for what it refused last', () => {
    const { queue } = queueInHand({ maxDepth: 20 });
    const places = Array.from({ length: 20 }, () => queue.enter({}, 1, 1, never));
    expect(queue.fullForMs()).toBeGreaterThan(0);
    places.pop()?.leave();
    expect(queue.fullForMs()).toBeNull();
    expect(() => queue.enter({}, 3, 3, never)).toThrow(
      expect.objectContaining({ code: 'RESOURCE_EXHAUSTED' }) as Error,
    );
    expect(queue.fullForMs()).toBeGreaterThan(0);
    places.pop()?.leave();
    expect(queue.fullForMs()).toBeGreaterThan(0);
    places.pop()?.leave();
    expect(queue.fullForMs()).toBeNull();
    queue.enter({}, 3, 3, never);
  });

  it('counts what a caller that leaves has not handed in yet as dropped, and nothing of one that is done', async () => {
    const dropped: number[] = [];
    const { queue, runs, settle } = queueInHand({ onDropped: (images) => dropped.push(images) });
    const leaving = new AbortController();
    const place = queue.enter({}, 5, 5, leaving.signal);
    const taken = place.submit(Uint8Array.of(1));
    runs[0]?.finish();
    await taken;
    leaving.abort();
    expect(dropped).toEqual([4]);
    const done = new AbortController();
    const other = queue.enter({}, 3, 3, done.signal);
    other.leave();
    done.abort();
    await settle();
    expect([dropped, queue.depth()]).toEqual([[4], 0]);
  });

  it('frees the place of a caller that leaves, before the network sees its images', async () => {
    const dropped: number[] = [];
    const { queue, runs, send, settle } = queueInHand({ onDropped: (images) => dropped.push(images) });
    void send({}, [1]);
    const leaving = new AbortController();
    const caller = {};
    const gone = send(caller, [2, 3], leaving.signal);
    const stays = send(caller, [4]);
    leaving.abort();
    for (const answer of gone) await expect(answer).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(queue.depth()).toBe(1);
    expect(dropped).toEqual([2]);
    runs[0]?.finish();
    await settle();
    expect(runs[1]?.values).toEqual([4]);
    runs[1]?.finish();
    expect(await stays[0]).toBe(4);
    const late = new AbortController();
    late.abort();
    await expect(queue.enter({}, 1, 1, late.signal).submit(Uint8Array.of(9))).rejects.toMatchObject({
      code: 'CANCELLED',
    });
    expect(queue.depth()).toBe(0);
  });

  it('goes on after a batch that failed', async () => {
    const { runs, send, settle } = queueInHand();
    const [first] = send({}, [1]);
    runs[0]?.fail(new Error('broken'));
    await expect(first).rejects.toThrow('broken');
    const [second] = send({}, [2]);
    await settle();
    runs[1]?.finish();
    expect(await second).toBe(2);
  });

  it('waits for others for as long as it may, and no longer', async () => {
    const { runs, send } = queueInHand({ maxDelayMs: 20 });
    void send({}, [1]);
    void send({}, [2]);
    expect(runs).toHaveLength(0);
    await expect.poll(() => runs.map(({ values }) => values)).toEqual([[1, 2]]);
    runs[0]?.finish();
  });
});

describe('batch sizes', () => {
  it('fills up a quarter at most, or leaves images for the next batch', () => {
    expect(batchSizesUpTo(32)).toEqual([1, 2, 3, 4, 6, 8, 12, 16, 24, 32]);
    expect(batchSizesUpTo(1)).toEqual([1]);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 300 }), (max, waiting) => {
        const sizes = batchSizesUpTo(max);
        const { count, size } = batchFor(sizes, waiting);
        expect(sizes).toContain(size);
        expect(count).toBeGreaterThanOrEqual(1);
        expect(count).toBeLessThanOrEqual(Math.min(size, waiting));
        expect((size - count) * 4).toBeLessThanOrEqual(count);
        if (waiting >= max) expect(count).toBe(max);
      }),
    );
  });
});
