// Decoded datasets that stay in memory: opened once for all callers at a time, the longest unused leave first.
import { KindredError } from '@kindred/errors';
import { Gauge } from '@kindred/service-runtime';
import { datasetKeyText, type DatasetKey } from './dataset-key.js';
import { openDatasetBytes, type OpenDataset } from './open-dataset.js';

const residentBytes = new Gauge({
  name: 'kindred_augmentation_dataset_bytes',
  help: 'Bytes of decoded datasets in memory.',
});

/** A dataset in use; it stays in memory until it is released. */
export interface DatasetLease {
  readonly dataset: OpenDataset;
  /** Ends the use. Idempotent. */
  release(): void;
}

/** Open datasets by key. */
export interface DatasetCache {
  /**
   * Opens a dataset, or takes the one that is open. Errors are those of opening, and are not kept.
   * RESOURCE_EXHAUSTED when it does not fit beside the datasets in use.
   */
  acquire(key: DatasetKey): Promise<DatasetLease>;
  /** Bytes held now. */
  bytes(): number;
}

interface Entry {
  readonly opening: Promise<OpenDataset>;
  bytes: number;
  users: number;
}

/** Opens a dataset off the event loop. */
export type DatasetOpener = (key: DatasetKey) => Promise<OpenDataset>;

/** Makes an empty cache for `maxBytes` bytes. `fingerprint` gives another text once a dataset's files have changed. */
export function createDatasetCache(
  maxBytes: number,
  open: DatasetOpener,
  fingerprint: (key: DatasetKey) => Promise<string>,
): DatasetCache {
  // Insertion order is the order of last use.
  const entries = new Map<string, Entry>();
  const total = (): number => [...entries.values()].reduce((sum, { bytes }) => sum + bytes, 0);

  const makeRoom = (): void => {
    for (const [text, entry] of entries) {
      if (total() <= maxBytes) break;
      if (entry.users === 0) entries.delete(text);
    }
    residentBytes.set(total());
  };

  const openInto = (text: string, key: DatasetKey): Entry => {
    const opening = open(key);
    const entry: Entry = { opening, bytes: 0, users: 0 };
    opening.then(
      (dataset) => (entry.bytes = openDatasetBytes(dataset)),
      () => {
        if (entries.get(text) === entry) entries.delete(text);
      },
    );
    return entry;
  };

  return {
    async acquire(key) {
      const text = `${datasetKeyText(key)} ${await fingerprint(key)}`;
      const entry = entries.get(text) ?? openInto(text, key);
      entries.delete(text);
      entries.set(text, entry);
      entry.users++;
      let released = false;
      const release = (): void => {
        if (released) return;
        released = true;
        entry.users--;
        makeRoom();
      };
      try {
        const dataset = await entry.opening;
        makeRoom();
        if (total() > maxBytes) throw tooLarge(key, entry.bytes, maxBytes);
        return { dataset, release };
      } catch (thrown) {
        release();
        throw thrown;
      }
    },
    bytes: total,
  };
}

function tooLarge(key: DatasetKey, bytes: number, maxBytes: number): KindredError {
  return new KindredError(
    'RESOURCE_EXHAUSTED',
    `dataset '${key.name}' (${key.split}) takes ${bytes} bytes of memory; allowed: ${maxBytes} for all datasets in use together`,
    { resource: { type: 'dataset', name: key.name } },
  );
}
