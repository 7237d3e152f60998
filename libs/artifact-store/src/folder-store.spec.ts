import { createHash } from 'node:crypto';
import { appendFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { createFolderStore } from './index.js';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

describe('folder store', () => {
  const folder = temporaryFolder();

  it('gives back what was put, with its hash', async () => {
    const store = await createFolderStore(join(folder, 'a'));
    const { sha256, size } = await store.put('runs/r1/model.bin', [text('ab'), text('c')]);
    expect(sha256).toBe(createHash('sha256').update('abc').digest('hex'));
    expect(size).toBe(3);
    expect(Buffer.from(await store.get('runs/r1/model.bin', sha256)).toString()).toBe('abc');
    expect(await store.describe('runs/r1/model.bin')).toMatchObject({ size: 3 });
    expect(await store.describe('runs/r1')).toBeNull();
  });

  it('keeps the old object when a put breaks', async () => {
    const root = join(folder, 'b');
    const store = await createFolderStore(root);
    await store.put('k', text('old'));
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield text('ne');
      throw new Error('source broke');
    }
    await expect(store.put('k', broken())).rejects.toMatchObject({ message: 'source broke' });
    expect(Buffer.from(await store.get('k')).toString()).toBe('old');
    expect(await readdir(join(root, '.unfinished'))).toEqual([]);
  });

  it('refuses to replace where asked', async () => {
    const store = await createFolderStore(join(folder, 'c'));
    await store.put('k', text('1'), { ifAbsent: true });
    await expect(store.put('k', text('2'), { ifAbsent: true })).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    expect(Buffer.from(await store.get('k')).toString()).toBe('1');
  });

  it('names a damaged and an absent object', async () => {
    const root = join(folder, 'd');
    const store = await createFolderStore(root);
    const { sha256 } = await store.put('x/y', text('abc'));
    await appendFile(join(root, 'x', 'y'), '!');
    await expect(store.get('x/y', sha256)).rejects.toMatchObject({ code: 'DATA_LOSS', resource: { name: 'x/y' } });
    await expect(store.get('x/z')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(async () => {
      for await (const _ of store.read('x/z'));
    }).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('lists by prefix in order and never leaves its folder', async () => {
    const store = await createFolderStore(join(folder, 'e'));
    for (const key of ['b/2', 'a/1', 'b/1']) await store.put(key, text(key));
    const keys: string[] = [];
    for await (const { key } of store.list('b/')) keys.push(key);
    expect(keys).toEqual(['b/1', 'b/2']);
    for (const key of ['../x', 'a//b', '/a', 'a/./b', 'a b', '']) {
      await expect(store.put(key, text('x'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
  });
});
