import { describe, expect, it } from 'vitest';
import { datasetShardKey, verifyStore } from './index.js';
import { fillStore, sha256 } from './spec/filled-store.js';

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
