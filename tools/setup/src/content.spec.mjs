// Keys follow content; a cached folder is complete or absent.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cachedFolder, contentKey, pointTo } from './content.mjs';

let folder = '';
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'content-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('contentKey', () => {
  it('changes with every part and with a file of the same name, not with the order of the parts', () => {
    const file = join(folder, 'a.cc');
    writeFileSync(file, 'int a;');
    const key = contentKey({ compiler: '12', flags: '-O2' }, [file]);
    expect(contentKey({ flags: '-O2', compiler: '12' }, [file])).toBe(key);
    expect(contentKey({ compiler: '13', flags: '-O2' }, [file])).not.toBe(key);
    expect(contentKey({ compiler: '12', flags: '-O3' }, [file])).not.toBe(key);
    writeFileSync(file, 'int b;');
    expect(contentKey({ compiler: '12', flags: '-O2' }, [file])).not.toBe(key);
  });

  it('does not depend on where the files are', () => {
    const [one, two] = [join(folder, 'one'), join(folder, 'two')];
    writeFileSync(one, 'same');
    writeFileSync(two, 'same');
    expect(contentKey({}, [one])).toBe(contentKey({}, [two]));
  });
});

describe('cachedFolder', () => {
  it('builds once', async () => {
    const target = join(folder, 'key');
    const build = async (/** @type {string} */ temporary) => writeFileSync(join(temporary, 'addon'), 'x');
    expect(await cachedFolder(target, build)).toBe('done');
    expect(await cachedFolder(target, () => Promise.reject(new Error('built twice')))).toBe('cached');
    expect(readFileSync(join(target, 'addon'), 'utf8')).toBe('x');
  });

  it('leaves nothing of a build that failed, nor of one that was cut off before', async () => {
    const target = join(folder, 'key');
    mkdirSync(join(folder, 'building-old'));
    const half = async (/** @type {string} */ temporary) => {
      writeFileSync(join(temporary, 'half'), 'x');
      throw new Error('disk full');
    };
    await expect(cachedFolder(target, half)).rejects.toThrow('disk full');
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('pointTo', () => {
  it('replaces what is there, a folder or an older link, and knows when nothing is to do', () => {
    const [old, fresh, link] = [join(folder, 'old'), join(folder, 'fresh'), join(folder, 'deep/link')];
    mkdirSync(old);
    mkdirSync(fresh);
    mkdirSync(link, { recursive: true });
    expect(pointTo(link, old)).toBe('done');
    expect(pointTo(link, fresh)).toBe('done');
    writeFileSync(join(fresh, 'addon'), '');
    expect(existsSync(join(link, 'addon'))).toBe(true);
    expect(pointTo(link, fresh)).toBe('cached');
  });
});
