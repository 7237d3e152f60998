// The store as a trainer may write to it: only while it is certain that no other trainer does. A store that is away is tried again for
// long, so that a write may be under way when the turn is over.
import { KindredError } from '@kindred/errors';
import type { ArtifactStore } from '@kindred/artifact-store';

/** Options of {@link fencedStore}. */
export interface FenceOptions {
  /** Whether writing is allowed now. */
  readonly isOurs: () => boolean;
  /** Told of a write that is begun, or still tried, when it is not; ends the process, since nothing else stops a write. */
  readonly onStray: (key: string) => void;
  /** How often writes under way are looked at, in milliseconds. @default 500 */
  readonly everyMs?: number;
}

/** Wraps a store; reads are as they were. @throws KindredError UNAVAILABLE for a write that is not allowed. */
export function fencedStore(store: ArtifactStore, { isOurs, onStray, everyMs = 500 }: FenceOptions): ArtifactStore {
  const fenced = async <T>(key: string, write: () => Promise<T>): Promise<T> => {
    if (!isOurs()) {
      onStray(key);
      throw new KindredError('UNAVAILABLE', `'${key}' is not written: another trainer may be at work on the runs`);
    }
    const watch = setInterval(() => {
      if (!isOurs()) onStray(key);
    }, everyMs);
    try {
      return await write();
    } finally {
      clearInterval(watch);
    }
  };
  return {
    ...store,
    put: (key, content, options) => fenced(key, () => store.put(key, content, options)),
    delete: (key, options) => fenced(key, () => store.delete(key, options)),
  };
}
