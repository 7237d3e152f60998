// The datasets that this service knows: names and roots made definite, opened off the event loop, kept while there is room.
import { datasetNames, isDatasetName } from '@kindred/datasets';
import { notFound } from '@kindred/errors';
import { createWorkerPool, workerEntry } from '@kindred/workers';
import { createDatasetCache, type DatasetLease } from './dataset-cache.js';
import type { DatasetKey } from './dataset-key.js';
import type { DatasetRoots } from './dataset-roots.js';
import { estimateBytes } from './dataset-size.js';
import { findDatasets, fingerprint } from './dataset-search.js';
import type * as DatasetWorker from './dataset.worker.js';

/** Datasets that are opened at one time: a slow one must not keep others waiting. */
const openerThreads = 2;
/** Datasets that may wait to be opened. */
const maxWaiting = 64;

/** Finds and opens datasets. */
export interface DatasetCatalogue {
  /**
   * The key with its root as an absolute path, links resolved.
   * @throws KindredError NOT_FOUND for an unknown name, PERMISSION_DENIED for a root outside the data roots.
   */
  resolve(key: DatasetKey): Promise<DatasetKey>;
  /** Opens the dataset of a resolved key. NOT_FOUND: missing. INVALID_ARGUMENT: broken files (names the file).
   * RESOURCE_EXHAUSTED: too large for the cache. CANCELLED by `signal`. */
  acquire(key: DatasetKey, signal: AbortSignal): Promise<DatasetLease>;
  /** Datasets made by formula and those found in the data roots, by name and split. */
  list(): Promise<DatasetKey[]>;
  /** Ends the threads that open. */
  close(): Promise<void>;
}

/** Starts the threads that open datasets; at most `cacheBytes` of them stay in memory. */
export function createDatasetCatalogue(roots: DatasetRoots, cacheBytes: number): DatasetCatalogue {
  const pool = createWorkerPool<typeof DatasetWorker>({
    entry: workerEntry(import.meta.url, 'dataset'),
    threads: openerThreads,
    maxQueued: maxWaiting,
  });
  const cache = createDatasetCache(cacheBytes, {
    // An aborted opening ends its thread, whatever that is at, and the pool starts another.
    open: (key, signal) => pool.run('open', key, { signal }),
    estimate: estimateBytes,
    fingerprint,
  });
  return {
    async resolve(key) {
      if (!isDatasetName(key.name)) throw notFound('dataset', key.name, datasetNames);
      if (key.name === 'drawn') return { ...key, root: '' };
      return { ...key, root: await roots.resolve(key.root), drawnSize: 0, drawnSeed: 0 };
    },
    acquire: (key, signal) => cache.acquire(key, signal),
    list: () => findDatasets(roots.all),
    close: () => pool.close(),
  };
}
