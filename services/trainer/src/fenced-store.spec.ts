import { createFolderStore } from '@kindred/artifact-store';
import { temporaryFolder } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { fencedStore } from './fenced-store.js';

describe('fencedStore', () => {
  it('writes while the turn is ours, and not after', async () => {
    let ours = true;
    const strays: string[] = [];
    const inner = await createFolderStore(temporaryFolder());
    const store = fencedStore(inner, { isOurs: () => ours, onStray: (key) => strays.push(key) });
    await store.put('runs/r1/run.json', Buffer.from('running'));
    ours = false;
    await expect(store.put('runs/r1/run.json', Buffer.from('late'))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(store.delete('runs/r1/run.json')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(Buffer.from(await store.get('runs/r1/run.json')).toString()).toBe('running');
    expect(strays).toEqual(['runs/r1/run.json', 'runs/r1/run.json']);
  });

  it('tells of a write that is still tried when the turn is over', async () => {
    let ours = true;
    const inner = await createFolderStore(temporaryFolder());
    const away = { ...inner, put: () => new Promise<never>(() => {}) };
    const stray = new Promise<string>((resolve) => {
      const store = fencedStore(away, { isOurs: () => ours, onStray: resolve, everyMs: 5 });
      void store.put('runs/r1/run.json', Buffer.from('tried for long'));
    });
    ours = false;
    expect(await stray).toBe('runs/r1/run.json');
  });
});
