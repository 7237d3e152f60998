import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { applyRetention, createFolderStore, type ArtifactStore } from './index.js';

const day = 86_400_000;

describe('retention', () => {
  const root = temporaryFolder();
  const ages = { 'runs/a/1': 10, 'runs/a/2': 5, 'runs/a/3': 1, 'runs/b/1': 9, 'runs/b/kept/1': 99, 'models/m': 50 };

  async function filled(): Promise<ArtifactStore> {
    const store = await createFolderStore(root);
    for (const [key, days] of Object.entries(ages)) {
      await store.put(key, new Uint8Array(days));
      const time = new Date(Date.now() - days * day);
      await utimes(join(root, key), time, time);
    }
    return store;
  }
  const keys = async (store: ArtifactStore): Promise<string[]> => {
    const found: string[] = [];
    for await (const { key } of store.list('')) found.push(key);
    return found;
  };

  it('says first, and removes only when asked', async () => {
    const store = await filled();
    const rules = [{ prefix: 'runs/', maxAgeMs: 7 * day }, { prefix: 'runs/b/kept/' }];
    const plan = await applyRetention(store, rules);
    expect(plan.removed.map(({ key }) => key)).toEqual(['runs/b/1', 'runs/a/1']);
    expect(plan).toMatchObject({ removedBytes: 19, kept: 3 });
    expect(await keys(store)).toEqual(Object.keys(ages).sort());
    await applyRetention(store, rules, { dryRun: false });
    expect(await keys(store)).toEqual(['models/m', 'runs/a/2', 'runs/a/3', 'runs/b/kept/1']);
  });

  it('keeps the newest, and what one of two limits keeps', async () => {
    const store = await filled();
    const removed = async (rule: object): Promise<string[]> =>
      (await applyRetention(store, [{ prefix: 'runs/a/', ...rule }])).removed.map(({ key }) => key);
    expect(await removed({ keepNewest: 1 })).toEqual(['runs/a/2', 'runs/a/1']);
    expect(await removed({ keepNewest: 1, maxAgeMs: 7 * day })).toEqual(['runs/a/1']);
    expect(await removed({ keepNewest: 3, maxAgeMs: 0 })).toEqual([]);
    expect(await removed({})).toEqual([]);
  });

  it('leaves what was replaced meanwhile', async () => {
    const store = await filled();
    const racing: Pick<ArtifactStore, 'list' | 'delete'> = {
      list: store.list,
      async delete(key, options) {
        await store.put(key, new Uint8Array(3));
        await store.delete(key, options);
      },
    };
    const rules = [{ prefix: 'models/', keepNewest: 0 }];
    expect(await applyRetention(racing, rules, { dryRun: false })).toMatchObject({ removed: [], kept: 1 });
    expect((await store.get('models/m')).length).toBe(3);
  });
});
