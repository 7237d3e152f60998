// In a file of its own: the number of threads is chosen once a process.
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { searchRows, setSearchThreads } from './index.js';

describe('threads', () => {
  it('for searches are as many as are asked for', async () => {
    // Those of OpenBLAS would be counted, too.
    process.env['OPENBLAS_NUM_THREADS'] = '1';
    setSearchThreads(5);
    const vectors = new Float32Array(64).fill(1);
    const segments = [{ vectors, rows: 8, dimension: 8, allowed: null, index: null }];
    const queries = vectors.subarray(0, 8);
    const search = (): Promise<unknown> =>
      searchRows({ segments, queries, dimension: 8, k: 1, l2: false, efSearch: 64, probes: 0, refine: 10 });
    const before = new Set(readdirSync('/proc/self/task'));
    const started = (): string[] => readdirSync('/proc/self/task').filter((thread) => !before.has(thread));
    await search();
    expect(started()).toHaveLength(5);
    await search();
    expect(started()).toHaveLength(5);
    expect(() => setSearchThreads(2)).toThrow(expect.objectContaining({ code: 'FAILED_PRECONDITION' }) as Error);
  });
});
