// Garbage collection: finds what nothing refers to, and deletes it where that is asked for.
import { KindredError, isKindredError } from '@kindred/errors';
import { datasetPushPrefix, datasetSetPrefix, datasetShardPrefix } from './dataset-set.js';
import type { LineageStore, StoredObject } from './lineage-store.js';
import { manifestPrefix } from './manifests.js';
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
    const latest = createLatest(store, garbage);
    for (const object of garbage) {
      if (signal?.aborted === true) throw cancelled();
      if (await latest.spares(object.key)) continue;
      if (!(await deleteUnchanged(store, object))) continue;
      deleted++;
      deletedBytes += object.size;
    }
  }
  return { garbage, young, unknown, deleted, deletedBytes };
}

/**
 * Judges anew, right before each delete: what was found unreferred may have been referred to since, for example by a
 * dataset pushed under another name. All references are read once, and again whenever something that could add one to
 * the object has changed.
 */
function createLatest(store: Pick<LineageStore, 'get' | 'list'>, garbage: readonly StoredObject[]) {
  const scopes = new Map(garbage.flatMap(({ key }) => referrersOf(key)).map((scope) => [scope.prefix, scope]));
  const seen = new Map<string, string>();
  let references: StoreReferences | null = null;
  const read = async (): Promise<StoreReferences> => {
    // Before the references: what comes in between is seen as a change.
    for (const scope of scopes.values()) seen.set(scope.prefix, await stateOf(store, scope));
    const found = await collectReferences(store);
    refuseDamaged(found);
    return found;
  };
  const isChanged = async (key: string): Promise<boolean> => {
    for (const scope of referrersOf(key)) if ((await stateOf(store, scope)) !== seen.get(scope.prefix)) return true;
    return false;
  };
  return {
    async spares(key: string): Promise<boolean> {
      references ??= await read();
      // Before the names: a push ends by giving its name, and only then removes its note.
      const pushing = key.startsWith('datasets/') && (await isPushing(store));
      if (await isChanged(key)) references = await read();
      return typeof judge(references, pushing, key) === 'string';
    },
  };
}

/** Objects at a prefix that may refer to others; only those with the name, where one is given. */
interface Referrers {
  readonly prefix: string;
  readonly name?: string;
}

/**
 * Who could come to refer to an object that nobody refers to. Only a description of a dataset can be pinned by a run: its
 * shards are found through it, and come after it by key.
 */
function referrersOf(key: string): readonly Referrers[] {
  const [area = '', id = ''] = key.split('/');
  const names: Referrers = { prefix: `${manifestPrefix}dataset/` };
  if (key.startsWith(datasetSetPrefix)) return [names, { prefix: 'runs/', name: 'run.json' }];
  if (key.startsWith(datasetShardPrefix)) return [names];
  if (area === 'runs') return [{ prefix: `runs/${id}/run.json` }];
  return area === 'indexes' ? [{ prefix: `indexes/${id}/index.json` }] : [];
}

async function stateOf(store: Pick<LineageStore, 'list'>, { prefix, name }: Referrers): Promise<string> {
  const state: string[] = [];
  for await (const { key, etag, modifyTime } of store.list(prefix))
    if (name === undefined || key.endsWith(`/${name}`)) state.push(`${key} ${etag} ${modifyTime.getTime()}`);
  return state.join('\n');
}

type Verdict = 'alive' | 'unknown' | { readonly reason: string };

function judge(references: StoreReferences, pushing: boolean, key: string): Verdict {
  const { objects, runs, indexes, missingDatasets, deadManifests, deadFiles } = references;
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
      // Shards of a description that is gone are all that is left of its dataset.
      return pushing || missingDatasets.length > 0 ? 'alive' : { reason: 'no dataset has it' };
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

/**
 * Deletes what is still the object that was judged. S3's etags are of the content, so that one written again with the same
 * bytes is known by its time alone; the time of a list is as exact as that of a description, or more.
 */
async function deleteUnchanged(
  store: Pick<LineageStore, 'delete' | 'describe'>,
  { key, etag, modifyTime }: StoredObject,
): Promise<boolean> {
  const found = await store.describe(key);
  if (found === null || found.modifyTime.getTime() > modifyTime.getTime()) return false;
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
