import { KindredError } from '@kindred/errors';
import { describe, expect, it } from 'vitest';
import { createDatasetCache, type DatasetOpener } from './dataset-cache.js';
import type { DatasetKey } from './dataset-key.js';
import type { OpenDataset } from './open-dataset.js';

const key: DatasetKey = { name: 'drawn', split: 'train', root: '', drawnSize: 10, drawnSeed: 0 };
const dataset: OpenDataset = {
  size: 1,
  height: 1,
  width: 1,
  classNames: [],
  contentHash: '',
  table: {
    pixels: new Uint8Array(100),
    offsets: new Float64Array(0),
    heights: new Int32Array(0),
    widths: new Int32Array(0),
    labels: new Int32Array(0),
  },
};

/** An opener whose openings end when the test says so, or with CANCELLED. */
function manualOpener(estimate = 0) {
  const openings: { signal: AbortSignal; finish: () => void }[] = [];
  const opener: DatasetOpener = {
    open: (_, signal) =>
      new Promise((resolve, reject) => {
        openings.push({ signal, finish: () => resolve(dataset) });
        signal.addEventListener('abort', () => reject(new KindredError('CANCELLED', 'ended')));
      }),
    estimate: async () => estimate,
    fingerprint: async () => '',
  };
  return { opener, openings };
}

const turns = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
const never = (): AbortSignal => new AbortController().signal;

describe('dataset cache', () => {
  it('lets a caller leave at once, and ends an opening when its last caller has left', async () => {
    const { opener, openings } = manualOpener();
    const cache = createDatasetCache(1000, opener);
    const callers = [new AbortController(), new AbortController()];
    const leases = callers.map(({ signal }) => cache.acquire(key, signal));
    await turns();
    expect(openings).toHaveLength(1);
    callers[0]?.abort();
    await expect(leases[0]).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(openings[0]?.signal.aborted).toBe(false);
    callers[1]?.abort();
    await expect(leases[1]).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(openings[0]?.signal.aborted).toBe(true);
    const again = cache.acquire(key, never());
    await turns();
    openings[1]?.finish();
    expect((await again).dataset).toBe(dataset);
    expect(cache.bytes()).toBe(100);
  });

  it('keeps an opening for the caller who stays', async () => {
    const { opener, openings } = manualOpener();
    const cache = createDatasetCache(1000, opener);
    const leaving = new AbortController();
    const gone = cache.acquire(key, leaving.signal);
    const staying = cache.acquire(key, never());
    await turns();
    leaving.abort();
    await expect(gone).rejects.toMatchObject({ code: 'CANCELLED' });
    openings[0]?.finish();
    expect((await staying).dataset).toBe(dataset);
    expect(openings).toHaveLength(1);
  });

  it('lets an idle dataset go before another is opened that does not fit beside it', async () => {
    const { opener, openings } = manualOpener(100);
    const cache = createDatasetCache(150, opener);
    const first = cache.acquire(key, never());
    await turns();
    openings[0]?.finish();
    (await first).release();
    expect(cache.bytes()).toBe(100);
    const second = cache.acquire({ ...key, drawnSeed: 1 }, never());
    await turns();
    expect(openings).toHaveLength(2);
    // Only the estimate of what is being opened.
    expect(cache.bytes()).toBe(100);
    openings[1]?.finish();
    await second;
    expect(cache.bytes()).toBe(100);
  });

  it('refuses what cannot fit before it is opened', async () => {
    const { opener, openings } = manualOpener(1001);
    await expect(createDatasetCache(1000, opener).acquire(key, never())).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
    });
    expect(openings).toHaveLength(0);
  });
});
