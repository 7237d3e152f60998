// Garbage collection: finds what nothing refers to, and deletes it where that is asked for.
import { KindredError, isKindredError } from '@kindred/errors';
import { datasetPushPrefix, datasetSetPrefix, datasetShardPrefix } from './dataset-set.js';
import type { LineageStore, StoredObject } from './lineage-store.js';
import { collectReferences, type StoreReferences } from './references.js';

/** An object that nothing refers to. */
export interface Garbage extends StoredObject {
  /** Why it belongs to nothing, for people. */
  readonly reason: string;
}

/** The result of {@link collectGarbage}. */
export interface GarbageCollection {
  /** What nothing refers to, by key. */
  readonly garbage: readonly Garbage[];
  /** Objects that nothing refers to but that are younger than the grace period. */
  readonly young: number;
  /** Objects at keys that Kindred does not write, or from before manifests: they are never touched. */
  readonly unknown: readonly StoredObject[];
  /** Objects deleted; 0 without `remove`. */
  readonly deleted: number;
  /** Bytes of these. */
  readonly deletedBytes: number;
}

/** How to collect. */
export interface GarbageOptions {
  /** Whether garbage is deleted. @default false */
  readonly remove?: boolean;
  /**
   * How long an object is left alone after it was written, in milliseconds: what is being made has no references yet.
   * @default 86_400_000, a day
   */
  readonly graceMs?: number;
  /** Ends it with CANCELLED. */
  readonly signal?: AbortSignal;
}

const dayMs = 86_400_000;

/**
 * Finds garbage. Never garbage: what a run has or names, whatever its state; what a registered model, an index, a named
 * dataset or a manifest of something alive refers to; shards while a dataset is being pushed.
 * @throws KindredError DATA_LOSS, with nothing deleted, when an object that holds references cannot be read.
 */
export async function collectGarbage(
  store: Pick<LineageStore, 'describe' | 'get' | 'list' | 'delete'>,
  { remove = false, graceMs = dayMs, signal }: GarbageOptions = {},
): Promise<GarbageCollection> {
  const references = await collectReferences(store);
  const before = Date.now() - graceMs;
  const pushing = await isPushing(store);
  const garbage: Garbage[] = [];
  const unknown: StoredObject[] = [];
  let young = 0;
  for await (const object of store.list('')) {
    if (signal?.aborted === true) throw cancelled();
    const verdict = judge(references, pushing, object.key);
    if (verdict === 'alive') continue;
    if (verdict === 'unknown') unknown.push(object);
    else if (object.modifyTime.getTime() > before) young++;
    else garbage.push({ ...object, reason: verdict.reason });
  }
  let deleted = 0;
  let deletedBytes = 0;
  if (remove && garbage.length > 0) {
    refuseDamaged(references);
    // Anew: what was found unreferred may have been referred to since, for example by a dataset pushed under another name.
    const now = await collectReferences(store);
    refuseDamaged(now);
    const pushingNow = await isPushing(store);
    for (const object of garbage) {
      if (signal?.aborted === true) throw cancelled();
      if (typeof judge(now, pushingNow, object.key) === 'string') continue;
      if (!(await deleteUnchanged(store, object))) continue;
      deleted++;
      deletedBytes += object.size;
    }
  }
  return { garbage, young, unknown, deleted, deletedBytes };
}

type Verdict = 'alive' | 'unknown' | { readonly reason: string };

function judge(references: StoreReferences, pushing: boolean, key: string): Verdict {
  const { objects, runs, indexes, deadManifests, deadFiles } = references;
  if (objects.has(key)) return 'alive';
  if (deadManifests.has(key)) return { reason: 'manifest of something that is gone' };
  const [area = '', id = '', part = '', ...rest] = key.split('/');
  switch (area) {
    case 'registry':
    case 'manifests':
      return 'alive';
    case 'runs': {
      const run = runs.get(id);
      if (run === undefined) return { reason: `there is no run ${id}` };
      if (run.ended !== true) return 'alive';
      if (part === 'reserve' && rest.length === 0) return { reason: `run ${id} has ended` };
      const checkpoint = part === 'checkpoints' && rest[0]?.endsWith('.safetensors') === true;
      return checkpoint && run.commitsKnown ? { reason: `no commit of run ${id} names it` } : 'alive';
    }
    case 'indexes': {
      const readable = indexes.get(id);
      if (readable === undefined) return { reason: `there is no index ${id}` };
      return readable && part === 'segments' ? { reason: `index ${id} does not name it` } : 'alive';
    }
    case 'datasets':
      if (key.startsWith(datasetPushPrefix)) return { reason: 'note of a push that did not end' };
      if (!key.startsWith(datasetShardPrefix) && !key.startsWith(datasetSetPrefix)) return 'unknown';
      return pushing ? 'alive' : { reason: 'no dataset has it' };
    default:
      return deadFiles.has(key) ? { reason: 'what it was made from is gone' } : 'unknown';
  }
}

/** A push may use shards again that are older than the grace period; its note is younger. */
async function isPushing(store: Pick<LineageStore, 'list'>): Promise<boolean> {
  for await (const { modifyTime } of store.list(datasetPushPrefix))
    if (Date.now() - modifyTime.getTime() < dayMs) return true;
  return false;
}

function refuseDamaged({ damaged }: StoreReferences): void {
  const [first, ...others] = damaged;
  if (first === undefined) return;
  const more = others.length === 0 ? '' : `, and ${others.length} more`;
  throw new KindredError(
    'DATA_LOSS',
    `${first.key} ${first.problem}${more}: what it refers to is not known, so nothing is deleted. ` +
      "'kindred artifacts verify' names all; restore or delete them first",
    { resource: { type: 'artifact', name: first.key } },
  );
}

/** Deletes what is still the object that was judged. */
async function deleteUnchanged(store: Pick<LineageStore, 'delete'>, { key, etag }: StoredObject): Promise<boolean> {
  try {
    await store.delete(key, { ifMatch: etag });
    return true;
  } catch (thrown) {
    if (isKindredError(thrown, 'ABORTED')) return false;
    throw thrown;
  }
}

function cancelled(): KindredError {
  return new KindredError('CANCELLED', 'garbage collection: cancelled by the caller');
}
