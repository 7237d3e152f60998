import { describe, expect, it } from 'vitest';
import { collectGarbage, datasetSetKey, datasetShardKey, verifyStore } from './index.js';
import { fillStore, setOf, sha256, text } from './spec/filled-store.js';

describe('verification', () => {
  it('finds nothing wrong with a whole store, and counts what has no hash', async () => {
    const { store } = await fillStore();
    const { faults, withoutHash, objects } = await verifyStore(store);
    expect(faults).toEqual([]);
    expect(objects).toBeGreaterThan(withoutHash);
  });

  it.each([
    ['runs/done/checkpoints/02.safetensors', 'run done'],
    ['runs/gone/model.safetensors', 'model cats@1'],
    ['indexes/i/segments/01.safetensors', 'index i'],
    ['features/done/train-features.npy', 'feature-set done/train'],
    [datasetShardKey(sha256('shard now')), 'dataset cats'],
    [datasetShardKey(sha256('shard of a run')), 'run going'],
  ])('names %s when it is damaged or missing, and who has it', async (key, by) => {
    const { store } = await fillStore();
    store.damage(key);
    expect((await verifyStore(store)).faults).toEqual([
      { key, kind: 'damaged', problem: expect.stringContaining('SHA-256') as string, by: [by] },
    ]);
    await store.delete(key);
    expect((await verifyStore(store)).faults).toMatchObject([{ key, kind: 'missing', by: [by] }]);
  });

  it.each(['registry/cats.json', 'runs/going/run.json', 'indexes/i/index.json', 'manifests/dataset/cats.json'])(
    'names %s when it cannot be read',
    async (key) => {
      const { store } = await fillStore();
      store.damage(key);
      expect((await verifyStore(store)).faults).toMatchObject([{ key, kind: 'unreadable' }]);
    },
  );

  it.each([
    ['runs/going/run.json', 'run going', 'shard of a run'],
    ['manifests/dataset/cats.json', 'dataset cats', 'shard now'],
  ])('names the description of a dataset that is gone, which %s refers to; its shards stay', async (_, by, shard) => {
    const { store } = await fillStore();
    const description = store.keys().find((key) => key === datasetSetKey(sha256(setOf(shard)))) ?? '';
    await store.delete(description);
    const { faults } = await verifyStore(store);
    expect(faults).toMatchObject([{ kind: 'missing', by: [by] }]);
    // A run is pinned to a part of the hash only.
    const known = faults[0]?.key.replace('…', '') ?? '';
    expect(description.startsWith(known)).toBe(true);
    expect(known.length).toBeGreaterThan('datasets/sets/'.length + 7);
    await collectGarbage(store, { remove: true });
    expect(store.keys()).toContain(datasetShardKey(sha256(shard)));
  });

  it('names the best checkpoint when it is gone, and no other one before the newest', async () => {
    const { store } = await fillStore();
    const commit = (step: number, best: boolean) => {
      const key = `runs/done/checkpoints/0${step}.safetensors`;
      return store.put(
        `runs/done/commits/0${step}.json`,
        text(JSON.stringify({ checkpoint: { key, sha256: sha256(key), best } })),
      );
    };
    await store.put('runs/done/checkpoints/04.safetensors', text('runs/done/checkpoints/04.safetensors'));
    for (const [step, best] of [
      [1, true],
      [2, true],
      [3, false],
      [4, false],
    ] as const)
      await commit(step, best);
    await store.delete('runs/done/checkpoints/03.safetensors');
    expect((await verifyStore(store)).faults).toEqual([]);
    await store.delete('runs/done/checkpoints/02.safetensors');
    expect((await verifyStore(store)).faults).toMatchObject([
      { key: 'runs/done/checkpoints/02.safetensors', kind: 'missing', by: ['run done'] },
    ]);
  });

  it('takes no fault from what a service replaces meanwhile', async () => {
    const { store } = await fillStore();
    const key = 'indexes/i/segments/01.safetensors';
    const compacting = {
      ...store,
      async *read(wanted: string) {
        if (wanted === key) {
          await store.put('indexes/i/index.json', Buffer.from('{"version":1,"segments":[]}'));
          await store.delete(key);
        }
        yield* store.read(wanted);
      },
    };
    expect((await verifyStore(compacting)).faults).toEqual([]);
  });
});
