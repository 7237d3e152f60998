// The datasets that this service knows: names and roots made definite, opened off the event loop, kept while there is room.
import { datasetNames, isDatasetName } from '@kindred/datasets';
import { notFound } from '@kindred/errors';
import { createWorkerPool, workerEntry } from '@kindred/workers';
import { createDatasetCache, type DatasetLease } from './dataset-cache.js';
import type { DatasetKey } from './dataset-key.js';
import type { DatasetRoots } from './dataset-roots.js';
import { findDatasets, fingerprint } from './dataset-search.js';
import type * as DatasetWorker from './dataset.worker.js';

/** Datasets that may wait to be opened. */
const maxWaiting = 64;

/** Finds and opens datasets. */
export interface DatasetCatalogue {
  /**
   * The key with its root as an absolute path, links resolved.
   * @throws KindredError NOT_FOUND for an unknown name, PERMISSION_DENIED for a root outside the data roots.
   */
  resolve(key: DatasetKey): Promise<DatasetKey>;
  /** Opens the dataset of a resolved key. NOT_FOUND: missing. INVALID_ARGUMENT: broken files (names the file). */
  acquire(key: DatasetKey): Promise<DatasetLease>;
  /** Datasets made by formula and those found in the data roots, by name and split. */
  list(): Promise<DatasetKey[]>;
  /** Ends the thread that opens. */
  close(): Promise<void>;
}

/** Starts the thread that opens datasets; at most `cacheBytes` of them stay in memory. */
export function createDatasetCatalogue(roots: DatasetRoots, cacheBytes: number): DatasetCatalogue {
  const pool = createWorkerPool<typeof DatasetWorker>({
    entry: workerEntry(import.meta.url, 'dataset'),
    maxQueued: maxWaiting,
  });
  const cache = createDatasetCache(cacheBytes, (key) => pool.run('open', key), fingerprint);
  return {
    async resolve(key) {
      if (!isDatasetName(key.name)) throw notFound('dataset', key.name, datasetNames);
      if (key.name === 'drawn') return { ...key, root: '' };
      return { ...key, root: await roots.resolve(key.root), drawnSize: 0, drawnSeed: 0 };
    },
    acquire: (key) => cache.acquire(key),
    list: () => findDatasets(roots.all),
    close: () => pool.close(),
  };
}
