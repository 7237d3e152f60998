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
   * RESOURCE_EXHAUSTED when it does not fit beside the datasets in use, where that can be told before it is opened.
   * CANCELLED by `signal`; an opening ends when the last caller who waits for it has left.
   */
  acquire(key: DatasetKey, signal: AbortSignal): Promise<DatasetLease>;
  /** Bytes held now. */
  bytes(): number;
}

interface Entry {
  readonly opening: Promise<OpenDataset>;
  /** Ends the opening; no effect after it. */
  readonly abandon: AbortController;
  opened: boolean;
  /** While it is opened, what it is expected to take. */
  bytes: number;
  users: number;
}

/** How datasets are opened. */
export interface DatasetOpener {
  /** Opens a dataset off the event loop; `signal` ends that. */
  open(key: DatasetKey, signal: AbortSignal): Promise<OpenDataset>;
  /** Bytes that it will take, 0 where that is not known before. */
  estimate(key: DatasetKey): Promise<number>;
  /** Another text once a dataset's files have changed. */
  fingerprint(key: DatasetKey): Promise<string>;
}

/** Makes an empty cache for `maxBytes` bytes. */
export function createDatasetCache(maxBytes: number, opener: DatasetOpener): DatasetCache {
  // Insertion order is the order of last use.
  const entries = new Map<string, Entry>();
  const total = (): number => [...entries.values()].reduce((sum, { bytes }) => sum + bytes, 0);

  /** Idle datasets leave, the longest unused first, until `reserved` bytes fit beside what stays. */
  const makeRoom = (reserved = 0): void => {
    for (const [text, entry] of entries) {
      if (total() + reserved <= maxBytes) break;
      if (entry.users === 0) entries.delete(text);
    }
    residentBytes.set(total());
  };

  const forget = (text: string, entry: Entry): void => {
    if (entries.get(text) === entry) entries.delete(text);
  };

  const openInto = (text: string, key: DatasetKey, bytes: number): Entry => {
    const abandon = new AbortController();
    const opening = opener.open(key, abandon.signal);
    const entry: Entry = { opening, abandon, opened: false, bytes, users: 0 };
    opening.then(
      (dataset) => {
        entry.opened = true;
        entry.bytes = openDatasetBytes(dataset);
      },
      () => forget(text, entry),
    );
    return entry;
  };

  return {
    async acquire(key, signal) {
      const text = `${datasetKeyText(key)} ${await opener.fingerprint(key)}`;
      const bytes = entries.has(text) ? 0 : await opener.estimate(key);
      if (signal.aborted) throw cancelled();
      let known = entries.get(text);
      if (known === undefined) {
        const used = [...entries.values()].reduce((sum, other) => sum + (other.users > 0 ? other.bytes : 0), 0);
        if (used + bytes > maxBytes) throw tooLarge(key, bytes, maxBytes);
        // Before it is opened: afterwards both would be in memory.
        makeRoom(bytes);
        known = openInto(text, key, bytes);
      }
      const entry = known;
      entries.delete(text);
      entries.set(text, entry);
      entry.users++;
      let released = false;
      const release = (): void => {
        if (released) return;
        released = true;
        entry.users--;
        if (entry.users === 0 && !entry.opened) {
          // At once, so that the next caller starts anew instead of joining what ends.
          forget(text, entry);
          entry.abandon.abort();
        }
        makeRoom();
      };
      try {
        const dataset = await unlessAborted(entry.opening, signal);
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

function cancelled(): KindredError {
  return new KindredError('CANCELLED', 'cancelled by the caller');
}

/** What `promise` gives, or CANCELLED as soon as `signal` is aborted. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(cancelled());
    signal.addEventListener('abort', leave, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}

function tooLarge(key: DatasetKey, bytes: number, maxBytes: number): KindredError {
  return new KindredError(
    'RESOURCE_EXHAUSTED',
    `dataset '${key.name}' (${key.split}) takes ${bytes} bytes of memory; allowed: ${maxBytes} for all datasets in use together`,
    { resource: { type: 'dataset', name: key.name } },
  );
}
