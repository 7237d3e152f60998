// The service's own metrics; those of every RPC come with the service's door.
import { counter, gauge, histogram } from '@kindred/service-runtime';

const prefix = 'kindred_neighbor_index';
const byCollection = ['collection'] as const;

/** What is known of a collection at a scrape. */
export interface CollectionFigures {
  readonly name: string;
  readonly points: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly logBytes: number;
}

/** Set at each scrape: declared before those that {@link watchCollections} sets, so that it is asked first. */
gauge(`${prefix}_collections`, 'Collections of the embedded engine, damaged ones too.');

const figures = {
  points: gauge(`${prefix}_points`, 'Points of a collection.', byCollection),
  memoryBytes: gauge(`${prefix}_memory_bytes`, 'Bytes of memory of a collection, as accounted.', byCollection),
  diskBytes: gauge(`${prefix}_disk_bytes`, 'Bytes on disk of a collection, its log included.', byCollection),
  logBytes: gauge(`${prefix}_log_bytes`, 'Bytes of log that a start would read.', byCollection),
};

/** The metrics. */
export const metrics = {
  searchSeconds: histogram(`${prefix}_search_seconds`, 'Time of a search, its queries together.', [
    'collection',
    'kind',
  ] as const),
  syncSeconds: histogram(`${prefix}_log_sync_seconds`, 'Time of an fsync of a log.'),
  checkpoints: counter(`${prefix}_checkpoints_total`, 'Checkpoints, by result.', ['result'] as const),
  merges: counter(`${prefix}_merges_total`, 'Parts merged or indexed, by result.', ['result'] as const),
  droppedBytes: counter(
    `${prefix}_recovery_dropped_bytes_total`,
    'Bytes of logs that a start dropped; none of them was acknowledged.',
  ),
  refused: counter(`${prefix}_refused_total`, 'Work that was refused, by the quota that it would have broken.', [
    'quota',
  ] as const),
};

/** Sets who is asked at each scrape. A collection that is gone is in no answer any more. */
export function watchCollections(
  read: () => { readonly count: number; readonly all: readonly CollectionFigures[] },
): void {
  gauge(`${prefix}_collections`, 'Collections of the embedded engine, damaged ones too.', [], () => {
    const { count, all } = read();
    for (const one of Object.values(figures)) one.reset();
    for (const { name: collection, ...values } of all) {
      for (const key of ['points', 'memoryBytes', 'diskBytes', 'logBytes'] as const)
        figures[key].set({ collection }, values[key]);
    }
    return count;
  });
}

/** Counts how work ends. */
export async function counted<T>(which: 'checkpoints' | 'merges', work: () => Promise<T>): Promise<T> {
  try {
    const done = await work();
    metrics[which].inc({ result: 'done' });
    return done;
  } catch (thrown) {
    metrics[which].inc({ result: 'failed' });
    throw thrown;
  }
}
