// The datasets that this service knows: names and roots made definite, opened off the event loop, kept while there is room.
import { MessageChannel } from 'node:worker_threads';
import { datasetNames, isDatasetName } from '@kindred/datasets';
import { notFound } from '@kindred/errors';
import { isDatasetArtifact } from '@kindred/lineage';
import { createWorkerPool, workerEntry } from '@kindred/workers';
import type { DatasetArtifacts } from './dataset-artifacts.js';
import { createDatasetCache, type DatasetLease } from './dataset-cache.js';
import type { DatasetKey } from './dataset-key.js';
import type { DatasetRoots } from './dataset-roots.js';
import { estimateBytes } from './dataset-size.js';
import { byNameSplitRoot, findDatasets, fingerprint } from './dataset-search.js';
import type * as DatasetWorker from './dataset.worker.js';
import type { OpenDataset } from './open-dataset.js';
import { serveShards } from './shard-port.js';

/** Datasets that are opened at one time: a slow one must not keep others waiting. */
const openerThreads = 2;
/** Datasets that may wait to be opened. */
const maxWaiting = 64;

/** Finds and opens datasets. */
export interface DatasetCatalogue {
  /**
   * The key with its root as an absolute path, links resolved; of a pushed dataset, with its content pinned.
   * @throws KindredError NOT_FOUND for an unknown name, PERMISSION_DENIED for a root outside the data roots.
   */
  resolve(key: DatasetKey): Promise<DatasetKey>;
  /** Opens the dataset of a resolved key. NOT_FOUND: missing. INVALID_ARGUMENT: broken files (names the file). DATA_LOSS: a broken shard (names it).
   * RESOURCE_EXHAUSTED: too large for the cache. CANCELLED by `signal`. */
  acquire(key: DatasetKey, signal: AbortSignal): Promise<DatasetLease>;
  /** Datasets made by formula, those found in the data roots, and those pushed to the artifact store, by name and split. */
  list(): Promise<DatasetKey[]>;
  /** Ends the threads that open. */
  close(): Promise<void>;
}

/** Starts the threads that open datasets; at most `cacheBytes` of them stay in memory. */
export function createDatasetCatalogue(
  roots: DatasetRoots,
  artifacts: DatasetArtifacts,
  cacheBytes: number,
): DatasetCatalogue {
  const pool = createWorkerPool<typeof DatasetWorker>({
    entry: workerEntry(import.meta.url, 'dataset'),
    threads: openerThreads,
    maxQueued: maxWaiting,
  });
  const cache = createDatasetCache(cacheBytes, {
    // An aborted opening ends its thread, whatever that is at, and the pool starts another.
    open: (key, signal) =>
      isDatasetArtifact(key.name) ? openArtifact(key, signal) : pool.run('open', { key }, { signal }),
    estimate: (key) => (isDatasetArtifact(key.name) ? artifacts.estimate(key) : estimateBytes(key)),
    // A pinned dataset never changes.
    fingerprint: async (key) => (isDatasetArtifact(key.name) ? '' : fingerprint(key)),
  });
  const openArtifact = async (key: DatasetKey, signal: AbortSignal): Promise<OpenDataset> => {
    const set = await artifacts.describe(key.name);
    const { port1, port2 } = new MessageChannel();
    serveShards(port1, (file) => artifacts.fetch(file, key.name));
    try {
      return await pool.run('open', { key, set, shards: port2 }, { signal, transfer: [port2] });
    } finally {
      port1.close();
    }
  };
  return {
    async resolve(key) {
      if (isDatasetArtifact(key.name))
        return { ...key, name: await artifacts.pin(key.name), root: '', drawnSize: 0, drawnSeed: 0 };
      if (!isDatasetName(key.name)) throw notFound('dataset', key.name, [...datasetNames, 'artifact:NAME']);
      if (key.name === 'drawn') return { ...key, root: '' };
      return { ...key, root: await roots.resolve(key.root), drawnSize: 0, drawnSeed: 0 };
    },
    acquire: (key, signal) => cache.acquire(key, signal),
    async list() {
      return [...(await artifacts.list()), ...(await findDatasets(roots.all))].sort(byNameSplitRoot);
    },
    close: () => pool.close(),
  };
}
