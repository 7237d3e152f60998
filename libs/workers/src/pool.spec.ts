import { afterEach, describe, expect, it } from 'vitest';
import type * as example from './example.worker.js';
import { createWorkerPool, workerEntry, type WorkerPool } from './index.js';

type Example = typeof example;

describe('worker pool', () => {
  const pools: WorkerPool<Example>[] = [];
  const open = (options: { threads?: number; maxQueued?: number } = {}) => {
    const pool = createWorkerPool<Example>({ entry: workerEntry(import.meta.url, 'example'), ...options });
    pools.push(pool);
    return pool;
  };
  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.close()));
  });

  it('passes typed arrays both ways and runs off this thread', async () => {
    const { doubled, threadId } = await open().run('double', Float32Array.of(1, 2.5));
    expect([...doubled]).toEqual([2, 5]);
    expect(threadId).toBeGreaterThan(0);
  });

  it('keeps code and fields of an error', async () => {
    await expect(open().run('refuse', 'k')).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'k', description: 'got it' }],
    });
  });

  it('refuses what does not fit in the queue', async () => {
    const pool = open({ maxQueued: 1 });
    await pool.run('block', 1);
    const running = pool.run('block', 300);
    const waiting = pool.run('block', 1);
    await expect(pool.run('block', 1)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryAfterMs: 100 });
    await Promise.all([running, waiting]);
  });

  it('fails all calls where no thread can start, whether they were handed to one or wait', async () => {
    const filename = `${import.meta.dirname}/absent.worker.js`;
    const pool = createWorkerPool<Example>({ entry: { filename, execArgv: [] } });
    pools.push(pool);
    for (let turn = 0; turn < 2; turn++) {
      const calls = await Promise.allSettled([1, 2, 3].map((ms) => pool.run('block', ms)));
      for (const call of calls) {
        expect(call).toMatchObject({
          reason: { code: 'INTERNAL', message: expect.stringContaining('absent.worker.js') },
        });
      }
    }
  });

  it('leaves the event loop free', async () => {
    const pool = open();
    await pool.run('block', 1);
    let done = false;
    const blocked = pool.run('block', 500).then(() => (done = true));
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(done).toBe(false);
    await blocked;
  });
});
