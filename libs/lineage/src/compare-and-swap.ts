// Changing one JSON object that others change, too: read, change, write if it is still what was read; else again.
import { setTimeout as sleep } from 'node:timers/promises';
import { KindredError, isKindredError } from '@kindred/errors';
import type { LineageStore } from './lineage-store.js';

/** Attempts before giving up: with the waits between them, about half a minute of steady contention. */
const maxAttempts = 200;
const longestWaitMs = 250;

/**
 * Replaces the object at `key` by `change` of what it holds (null: absent). Where `change` gives back null, nothing is
 * written. Nothing that others write meanwhile is lost: `change` may be called again. @throws KindredError ABORTED when
 * others always came first.
 */
export async function compareAndSwap(
  store: Pick<LineageStore, 'describe' | 'get' | 'put'>,
  key: string,
  change: (current: Uint8Array | null) => Uint8Array | null,
): Promise<void> {
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    // The etag is taken before the content: where the content is newer already, the put finds the etag outdated.
    const described = await store.describe(key);
    const current = described === null ? null : await contentOf(store, key);
    if ((described === null) === (current === null)) {
      const next = change(current);
      if (next === null) return;
      try {
        await store.put(key, next, described === null ? { ifAbsent: true } : { ifMatch: described.etag });
        return;
      } catch (thrown) {
        if (!isKindredError(thrown, 'ABORTED') && !isKindredError(thrown, 'ALREADY_EXISTS')) throw thrown;
      }
    }
    await sleep(Math.random() * Math.min(longestWaitMs, 2 ** attempt));
  }
  throw new KindredError('ABORTED', `'${key}' was changed by others at each of ${maxAttempts} attempts; try again`, {
    resource: { type: 'artifact', name: key },
    retryAfterMs: 1000,
  });
}

async function contentOf(store: Pick<LineageStore, 'get'>, key: string): Promise<Uint8Array | null> {
  try {
    return await store.get(key);
  } catch (thrown) {
    if (isKindredError(thrown, 'NOT_FOUND')) return null;
    throw thrown;
  }
}
