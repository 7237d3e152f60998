import type { MemoryStore } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { collectGarbage, datasetPushPrefix, datasetSetKey, datasetShardKey, writeManifest } from './index.js';
import { fillStore, manifestOf, setOf, sha256, text } from './spec/filled-store.js';

const keysOf = (objects: readonly { readonly key: string }[]): string[] => objects.map(({ key }) => key).sort();
const recordOf = (dataset: string): string =>
  JSON.stringify({ state: 'running', specification: { experiment: { train_db_name: dataset } } });

describe('garbage collection', () => {
  it('finds what nothing refers to and changes nothing unless asked to', async () => {
    const { store, garbage, unknown } = await fillStore();
    const before = store.keys();
    const found = await collectGarbage(store);
    expect(keysOf(found.garbage)).toEqual([...garbage].sort());
    expect(keysOf(found.unknown)).toEqual([...unknown].sort());
    expect(found).toMatchObject({ young: 0, deleted: 0 });
    expect(store.keys()).toEqual(before);
  });

  it('deletes exactly that, and finds nothing more', async () => {
    const { store, garbage } = await fillStore();
    const before = store.keys();
    expect((await collectGarbage(store, { remove: true })).deleted).toBe(garbage.length);
    expect(store.keys()).toEqual(before.filter((key) => !garbage.includes(key)));
    expect((await collectGarbage(store)).garbage).toEqual([]);
  });

  it('leaves what is younger than the grace period', async () => {
    const { store, garbage } = await fillStore();
    const [first = '', ...others] = garbage;
    store.age(first, new Date());
    const found = await collectGarbage(store, { remove: true });
    expect(keysOf(found.garbage)).toEqual([...others].sort());
    expect(found.young).toBe(1);
    expect(store.keys()).toContain(first);
    expect((await collectGarbage(store, { graceMs: 0 })).garbage).toHaveLength(1);
  });

  it('leaves all shards while a dataset is being pushed', async () => {
    const { store, garbage } = await fillStore();
    await store.put(`${datasetPushPrefix}a.json`, text('{}'));
    const found = await collectGarbage(store, { remove: true });
    expect(keysOf(found.garbage)).toEqual(garbage.filter((key) => !key.startsWith('datasets/')).sort());
    store.age(`${datasetPushPrefix}a.json`, new Date(Date.now() - 2 * 86_400_000));
    expect(keysOf((await collectGarbage(store)).garbage)).toEqual(
      [`${datasetPushPrefix}a.json`, ...garbage.filter((key) => key.startsWith('datasets/'))].sort(),
    );
  });

  it('leaves what was written again, or referred to, after it was found', async () => {
    const { store, garbage } = await fillStore();
    const rewritten = 'indexes/i/segments/02.safetensors';
    const adopted = 'runs/gone/tensorboard/events';
    let lists = 0;
    const changing = {
      ...store,
      async *list(prefix: string) {
        yield* store.list(prefix);
        if (prefix !== '' || lists++ > 0) return;
        await store.put(rewritten, text('newer'));
        await store.put('runs/gone/run.json', text('{"state":"running","specification":{"experiment":{}}}'));
      },
    };
    const found = await collectGarbage(changing, { remove: true });
    expect(found.deleted).toBe(garbage.length - 2);
    expect(store.keys()).toEqual(expect.arrayContaining([rewritten, adopted]));
  });

  const old = setOf('shard before');
  const oldSet = [datasetSetKey(sha256(old)), datasetShardKey(sha256('shard before'))];
  const changes: [string, readonly string[], (store: MemoryStore) => unknown][] = [
    ['a push that begins', oldSet, (store) => store.put(`${datasetPushPrefix}now.json`, text('{}'))],
    [
      'a push that has ended, and found its shards there',
      oldSet,
      (store) => writeManifest(store, manifestOf({ kind: 'dataset', id: 'new', config: { set: sha256(old) } })),
    ],
    [
      'a run that pins a dataset',
      oldSet,
      (store) => store.put('runs/new/run.json', text(recordOf(`artifact:x@${sha256(old).slice(0, 16)}`))),
    ],
    [
      'a run that begins again',
      ['runs/gone/tensorboard/events'],
      (store) => store.put('runs/gone/run.json', text(recordOf('drawn'))),
    ],
    [
      // As on S3, whose etags are of the content: the time alone tells.
      'another write of the same bytes',
      ['indexes/i/segments/02.safetensors'],
      (store) => store.age('indexes/i/segments/02.safetensors', new Date()),
    ],
  ];
  it.each(changes)('sees, between two deletes, %s', async (_, spared, change) => {
    const { store } = await fillStore();
    await store.put(datasetSetKey(sha256(old)), text(old));
    // The first that is deleted.
    const first = `${datasetPushPrefix}broken.json`;
    await store.put(first, text('{}'));
    for (const key of [first, datasetSetKey(sha256(old))]) store.age(key, new Date(Date.now() - 2 * 86_400_000));
    const found = keysOf((await collectGarbage(store)).garbage);
    expect(found).toEqual(expect.arrayContaining([first, ...spared]));
    const changing = {
      ...store,
      async delete(...call: Parameters<MemoryStore['delete']>) {
        await store.delete(...call);
        if (call[0] === first) await change(store);
      },
    };
    const { deleted } = await collectGarbage(changing, { remove: true });
    expect(deleted).toBe(found.length - spared.length);
    expect(store.keys()).toEqual(expect.arrayContaining([...spared]));
  });

  it.each(['registry/cats.json', 'indexes/i/index.json', 'runs/done/commits/02.json', 'manifests/dataset/cats.json'])(
    'deletes nothing while %s is damaged',
    async (key) => {
      const { store } = await fillStore();
      store.damage(key);
      const before = store.keys();
      await expect(collectGarbage(store, { remove: true })).rejects.toMatchObject({
        code: 'DATA_LOSS',
        resource: { name: key },
      });
      expect(store.keys()).toEqual(before);
    },
  );
});
