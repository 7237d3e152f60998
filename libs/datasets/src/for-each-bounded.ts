// Work on many things, a bounded number at a time.
import { throwIfAborted } from './open-options.js';

/** So many things are worked on at a time unless the caller says otherwise; sharp has four threads of its own. */
const defaultConcurrency = 8;

/** How much at a time, and what ends it. */
export interface BoundedOptions {
  /** @default 8 */
  readonly concurrency?: number;
  /** Ends the work with CANCELLED: what has not begun is dropped. */
  readonly signal?: AbortSignal;
}

/** Runs `work` over all items, a bounded number at a time; the first failure stops the rest and is thrown. */
export async function forEachBounded<T>(
  items: readonly T[],
  { concurrency = defaultConcurrency, signal }: BoundedOptions,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failed = false;
  const lane = async (): Promise<void> => {
    for (let i = next++; i < items.length && !failed; i = next++) {
      throwIfAborted(signal, 'decoding images');
      await work(items[i] as T, i);
    }
  };
  const lanes = Array.from({ length: Math.max(1, Math.min(concurrency, items.length)) }, () =>
    lane().catch((error: unknown) => {
      failed = true;
      throw error;
    }),
  );
  const results = await Promise.allSettled(lanes);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
