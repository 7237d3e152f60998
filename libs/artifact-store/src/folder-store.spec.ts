import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFile, readdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, relative } from 'node:path';
import { temporaryFolder } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { createFolderStore } from './index.js';
import { itConforms } from './store-conformance.js';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

describe('folder store', () => {
  const folder = temporaryFolder();
  let stores = 0;
  const nextRoot = (): string => join(folder, String(stores++));

  itConforms(async () => {
    const root = nextRoot();
    return { store: await createFolderStore(root), reopen: () => createFolderStore(root) };
  });

  it('leaves nothing of a broken put', async () => {
    const root = nextRoot();
    const store = await createFolderStore(root);
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield text('ne');
      throw new Error('source broke');
    }
    await expect(store.put('k', broken())).rejects.toMatchObject({ message: 'source broke' });
    expect(await readdir(join(root, '.unfinished'))).toEqual([]);
    expect(store.place).toBe(root);
  });

  it('lists the same keys by a relative path as by an absolute one', async () => {
    const root = nextRoot();
    await (await createFolderStore(root)).put('x/y', text('abc'));
    const fromHere = relative(process.cwd(), root);
    for (const path of [fromHere, `./${fromHere}`, `${root}/./`]) {
      const store = await createFolderStore(path);
      const keys = [];
      for await (const { key } of store.list('')) keys.push(key);
      expect(keys).toEqual(['x/y']);
      expect(store.place).toBe(root);
    }
  });

  it('names a damaged object', async () => {
    const root = nextRoot();
    const store = await createFolderStore(root);
    const { sha256 } = await store.put('x/y', text('abc'));
    await appendFile(join(root, 'x', 'y'), '!');
    await expect(store.get('x/y', sha256)).rejects.toMatchObject({ code: 'DATA_LOSS', resource: { name: 'x/y' } });
  });

  it('takes over the lock of a process that died in it', async () => {
    const root = nextRoot();
    const store = await createFolderStore(root);
    const { etag } = await store.put('k', text('1'));
    const dead = spawnSync(process.execPath, ['--version']).pid;
    const lock = join(root, '.unfinished', `lock-${createHash('sha256').update('k').digest('hex')}`);
    await writeFile(lock, `${hostname().replace(/[^A-Za-z0-9.-]/g, '-')}_${dead}_a`);
    await store.put('k', text('2'), { ifMatch: etag });
    expect(await readdir(join(root, '.unfinished'))).toEqual([]);
  });
});
