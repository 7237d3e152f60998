import { describe, expect, it } from 'vitest';
import { collectGarbage, datasetPushPrefix } from './index.js';
import { fillStore, text } from './spec/filled-store.js';

const keysOf = (objects: readonly { readonly key: string }[]): string[] => objects.map(({ key }) => key).sort();

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
