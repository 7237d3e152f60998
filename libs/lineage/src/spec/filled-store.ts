// A store with one of everything that Kindred writes, alive and dead; for specs.
import { createHash } from 'node:crypto';
import { createMemoryStore, type MemoryStore } from '@kindred/testing';
import { createModelRegistry, datasetSetKey, datasetShardKey, writeManifest, type NewManifest } from '../index.js';

/** Bytes of text. */
export const text = (value: string): Uint8Array => new TextEncoder().encode(value);
/** SHA-256 of text. */
export const sha256 = (value: string): string => createHash('sha256').update(value).digest('hex');

/** A manifest with nothing in it but what is given. */
export function manifestOf(given: Pick<NewManifest, 'kind' | 'id'> & Partial<NewManifest>): NewManifest {
  return {
    producer: { program: 'spec', version: '1' },
    inputs: [],
    config: {},
    seed: null,
    metrics: {},
    files: [],
    ...given,
  };
}

/** A file of a manifest, as `put` of its text gives it. */
export function fileOf(key: string, content: string): NewManifest['files'][number] {
  return { key, size: content.length, sha256: sha256(content) };
}

/** What the store holds, by whether something refers to it. */
export interface FilledStore {
  readonly store: MemoryStore;
  readonly garbage: readonly string[];
  readonly unknown: readonly string[];
}

/** Fills a store; every object is two days old. */
export async function fillStore(): Promise<FilledStore> {
  const store = createMemoryStore();
  const put = (key: string, content = key): Promise<unknown> => store.put(key, text(content));
  const json = (key: string, value: unknown): Promise<unknown> => put(key, JSON.stringify(value));
  const record = (state: string, dataset = 'drawn') => ({
    state,
    specification: { experiment: { train_db_name: dataset, val_db_name: dataset } },
  });
  const commit = (key: string, content = key) => ({ checkpoint: { key, sha256: sha256(content) } });

  // A run that has ended well: its first checkpoint was deleted in time, one belongs to no commit.
  await json('runs/done/run.json', record('succeeded'));
  await json('runs/done/commits/01.json', commit('runs/done/checkpoints/01.safetensors'));
  await json('runs/done/commits/02.json', commit('runs/done/checkpoints/02.safetensors'));
  await put('runs/done/checkpoints/02.safetensors');
  await put('runs/done/checkpoints/03.safetensors');
  await put('runs/done/reserve');
  await put('runs/done/model.safetensors');
  await put('runs/done/topk-train-neighbors.npy');
  // One that goes: what it writes may come before the commit that names it. It has pinned a dataset that has no name now.
  const pinned = setOf('shard of a run');
  await json('runs/going/run.json', record('running', `artifact:cats@${sha256(pinned).slice(0, 16)}`));
  await put('runs/going/checkpoints/01.safetensors');
  await put('runs/going/reserve');
  await put(datasetSetKey(sha256(pinned)), pinned);
  await put(datasetShardKey(sha256('shard of a run')), 'shard of a run');
  // One that somebody has deleted by hand, with a model that is registered.
  await put('runs/gone/model.safetensors');
  await put('runs/gone/tensorboard/events');
  const registry = createModelRegistry(store);
  const version = { source: { kind: 'import', id: 'x' }, description: '', size: 1 } as const;
  for (const key of ['runs/gone/model.safetensors', 'runs/imported/model.safetensors'])
    await registry.register('cats', { ...version, key, sha256: sha256(key) });
  await put('runs/imported/model.safetensors');
  await put('runs/unregistered/model.safetensors');

  // Features of a run that is there, and of a model that is gone.
  for (const [id, model] of [
    ['done/train', 'done'],
    ['lost/train', 'lost'],
  ] as const) {
    const key = `features/${id}-features.npy`;
    await put(key);
    const inputs = [{ kind: 'model', id: model, sha256: sha256(model) } as const];
    await writeManifest(store, manifestOf({ kind: 'feature-set', id, inputs, files: [fileOf(key, key)] }));
  }
  await put('features/older/than-manifests.npy');

  const current = setOf('shard now');
  await put(datasetSetKey(sha256(current)), current);
  await put(datasetShardKey(sha256('shard now')), 'shard now');
  await put(datasetShardKey(sha256('shard before')), 'shard before');
  await put(datasetShardKey(sha256('index')), 'index');
  const files = [fileOf(datasetSetKey(sha256(current)), current)];
  await writeManifest(store, manifestOf({ kind: 'dataset', id: 'cats', config: { set: sha256(current) }, files }));

  const segment = 'indexes/i/segments/01.safetensors';
  await json('indexes/i/index.json', { version: 1, segments: [{ key: segment, sha256: sha256(segment) }] });
  await put(segment);
  await put('indexes/i/segments/02.safetensors');
  await put('indexes/deleted/segments/01.safetensors');
  // One of a later form: what belongs to it is not known.
  await json('indexes/later/index.json', { version: 2 });
  await put('indexes/later/segments/01.bin');
  await writeManifest(store, manifestOf({ kind: 'index', id: 'later' }));
  // Mined from a collection, which lies on its service's own disk.
  const mined = fileOf('collections/c/topk-20.npy', 'mined');
  await put(mined.key, 'mined');
  await writeManifest(store, manifestOf({ kind: 'index', id: 'c', files: [mined] }));
  await put('notes/by-a-person.txt');

  for (const key of store.keys()) store.age(key, new Date(Date.now() - 2 * 86_400_000));
  return {
    store,
    garbage: [
      datasetShardKey(sha256('shard before')),
      'features/lost/train-features.npy',
      'indexes/deleted/segments/01.safetensors',
      'indexes/i/segments/02.safetensors',
      'manifests/feature-set/lost/train.json',
      'runs/unregistered/model.safetensors',
      'runs/done/checkpoints/03.safetensors',
      'runs/done/reserve',
      'runs/gone/tensorboard/events',
    ],
    unknown: ['features/older/than-manifests.npy', 'notes/by-a-person.txt'],
  };
}

/** The description of a dataset of one such split. */
export function setOf(shard: string): string {
  return JSON.stringify({ schemaVersion: 1, form: 'folder', splits: { train: splitOf(shard) } });
}

/** A dataset's split of one shard, which is the text, and the index that the store has. */
export function splitOf(shard: string): object {
  const shards = [{ sha256: sha256(shard), size: shard.length, images: 1 }];
  const index = { sha256: sha256('index'), size: 5 };
  return { encoding: 'encoded', images: 1, pixelBytes: 3, classNames: ['a'], index, shards };
}
