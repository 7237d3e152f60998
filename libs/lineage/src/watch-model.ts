// Follows a model reference: what it stands for now, and each time it stands for something else.
import { setTimeout as sleep } from 'node:timers/promises';
import { toKindredError, type KindredError } from '@kindred/errors';
import type { LineageStore } from './lineage-store.js';
import { parseModelReference } from './model-reference.js';
import { createModelRegistry, registryKey, runModelKey, type ResolvedModel } from './model-registry.js';

/** How a reference is followed. */
export interface WatchModelOptions {
  /** Ends the watch. */
  readonly signal: AbortSignal;
  /** Time between two looks, in milliseconds; one look asks the store about at most two objects and reads neither. @default 5000 */
  readonly intervalMs?: number;
  /** Hears that a look has failed, or that there is no such model at present; the watch goes on. */
  readonly onError?: (error: KindredError) => void;
}

/** Yields what `reference` stands for, at once and after each change of that. Ends with `signal`. INVALID_ARGUMENT for text that is no reference. */
export async function* watchModel(
  store: LineageStore,
  reference: string,
  { signal, intervalMs = 5000, onError }: WatchModelOptions,
): AsyncGenerator<ResolvedModel, void, undefined> {
  const { name } = parseModelReference(reference);
  const registry = createModelRegistry(store);
  let seen: string | null = null;
  let last: ResolvedModel | null = null;
  while (!signal.aborted) {
    let state: string | null = null;
    try {
      state = await stateOf(store, name);
      if (state !== seen) {
        const now = await registry.resolve(reference);
        seen = state;
        if (!sameFile(now, last)) yield (last = now);
      }
    } catch (thrown) {
      const error = toKindredError(thrown);
      // Nothing to resolve until the model changes; a store that does not answer is asked again.
      if (error.code === 'NOT_FOUND') seen = state;
      onError?.(error);
    }
    await sleep(intervalMs, undefined, { signal }).catch(() => {});
  }
}

/** Changes whenever the model may stand for something else. */
async function stateOf(store: Pick<LineageStore, 'describe'>, name: string): Promise<string> {
  const registered = await store.describe(registryKey(name));
  const ofRun = registered === null ? await store.describe(runModelKey(name)) : null;
  return `${registered?.etag} ${ofRun?.etag}`;
}

function sameFile(a: ResolvedModel, b: ResolvedModel | null): boolean {
  return a.version === b?.version && a.key === b.key && a.sha256 === b.sha256;
}
