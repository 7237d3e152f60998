// What every artifact store must do; the same suite runs over the folder and over each S3 server.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import type { ArtifactStore } from './artifact-store.js';
import { expect, it } from 'vitest';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const ofText = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

/** Bytes that take several parts of a multipart upload, cut where no part ends. */
const largeSize = 21_000_003;

/** Reads a stream whole. */
export async function collect(parts: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const part of parts) all.push(part);
  return Buffer.concat(all);
}

async function keysOf(store: ArtifactStore, ...args: Parameters<ArtifactStore['list']>): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(...args)) keys.push(key);
  return keys;
}

async function* failing(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
  throw new Error('source broke');
}

/**
 * Declares the suite. `open` makes an empty store; `reopen` opens the same one again, as another process would.
 */
export function itConforms(
  open: () => Promise<{ readonly store: ArtifactStore; readonly reopen: () => Promise<ArtifactStore> }>,
): void {
  it('gives back what was put, with its hash, size and etag', async () => {
    const { store } = await open();
    const put = await store.put('runs/r1/model.bin', [text('ab'), text('c')]);
    expect(put).toMatchObject({ sha256: hashOf(text('abc')), size: 3 });
    expect(ofText(await store.get('runs/r1/model.bin', put.sha256))).toBe('abc');
    const found = await store.describe('runs/r1/model.bin');
    expect(found).toMatchObject({ key: 'runs/r1/model.bin', size: 3, etag: put.etag });
    expect(Math.abs(Date.now() - Number(found?.modifyTime))).toBeLessThan(120_000);
    expect([null, put.sha256]).toContain(found?.sha256);
    expect(await store.describe('runs/r1')).toBeNull();
    await store.put('empty', new Uint8Array(0));
    expect((await store.get('empty')).length).toBe(0);
  });

  it('ends the stream of a put that is refused before it is read', async () => {
    const { store } = await open();
    await store.put('k', text('1'));
    for (const options of [{ ifAbsent: true }, { ifMatch: 'another' }, { sha256: 'no hash' }]) {
      const source = Readable.from([text('2')]);
      await expect(store.put('k', source, options)).rejects.toBeInstanceOf(Error);
      expect(source.destroyed).toBe(true);
    }
    expect(ofText(await store.get('k'))).toBe('1');
  });

  it('takes and gives large objects as streams, and ranges of them', async () => {
    const { store } = await open();
    const bytes = randomBytes(largeSize);
    const cuts = [0, 1, 65_536, 8_400_000, 8_400_001, largeSize];
    const parts = cuts.slice(1).map((end, index) => bytes.subarray(cuts[index], end));
    const { sha256, size, etag } = await store.put('large', parts);
    expect({ sha256, size }).toEqual({ sha256: hashOf(bytes), size: largeSize });
    expect((await collect(store.read('large', { sha256 }))).equals(bytes)).toBe(true);
    expect(await store.describe('large')).toMatchObject({ size, etag });
    for (const [offset, length] of [
      [0, 1],
      [8_388_607, 2],
      [largeSize - 1, 100],
      [largeSize, 5],
      [largeSize + 7, 5],
      [5, 0],
    ] as const) {
      const expected = bytes.subarray(offset, offset + length);
      expect(Buffer.from(await store.get('large', { offset, length })).equals(expected)).toBe(true);
    }
    expect((await collect(store.read('large', { offset: 20_000_000 }))).equals(bytes.subarray(20_000_000))).toBe(true);
  });

  it('names content that is not the one expected, at the end of a stream too', async () => {
    const { store } = await open();
    await store.put('x/y', text('abc'));
    const other = hashOf(text('other'));
    const loss = { code: 'DATA_LOSS', resource: { name: 'x/y' } };
    await expect(store.get('x/y', other)).rejects.toMatchObject(loss);
    const seen: Uint8Array[] = [];
    await expect(async () => {
      for await (const part of store.read('x/y', { sha256: other })) seen.push(part);
    }).rejects.toMatchObject(loss);
    expect(ofText(Buffer.concat(seen))).toBe('abc');
    await expect(store.put('x/y', text('new'), { sha256: other })).rejects.toMatchObject(loss);
    expect(ofText(await store.get('x/y'))).toBe('abc');
  });

  it('keeps the old object when a put breaks', async () => {
    const { store, reopen } = await open();
    await store.put('k', text('old'));
    await expect(store.put('k', failing([text('ne')]))).rejects.toMatchObject({ message: 'source broke' });
    const large = Array.from({ length: 3 }, () => randomBytes(7_000_000));
    await expect(store.put('k', failing(large))).rejects.toMatchObject({ message: 'source broke' });
    await expect(store.put('absent', failing(large))).rejects.toMatchObject({ message: 'source broke' });
    expect(ofText(await (await reopen()).get('k'))).toBe('old');
    expect(await keysOf(store, '')).toEqual(['k']);
  });

  it('shows the old object or the new one, never half of one', async () => {
    const { store, reopen } = await open();
    const reader = await reopen();
    const contents = [1, 2, 3].map((fill) => new Uint8Array(largeSize).fill(fill));
    const hashes = contents.map(hashOf);
    await store.put('k', contents[0] as Uint8Array);
    let writing = true;
    const seen = new Set<string>();
    const reading = (async () => {
      while (writing) seen.add(hashOf(await collect(reader.read('k'))));
    })();
    for (const content of contents.slice(1)) await store.put('k', [content]);
    writing = false;
    await reading;
    expect(hashes).toEqual(expect.arrayContaining([...seen]));
    expect(hashOf(await reader.get('k'))).toBe(hashes[2]);
  });

  it('refuses to replace where asked', async () => {
    const { store } = await open();
    await store.put('k', text('1'), { ifAbsent: true });
    for (const content of [text('2'), randomBytes(largeSize)]) {
      await expect(store.put('k', content, { ifAbsent: true })).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    }
    expect(ofText(await store.get('k'))).toBe('1');
  });

  it('replaces and deletes by etag only what the caller knows', async () => {
    const { store } = await open();
    const first = await store.put('k', text('1'));
    const second = await store.put('k', text('2'), { ifMatch: first.etag });
    expect(second.etag).not.toBe(first.etag);
    for (const content of [text('3'), randomBytes(largeSize)]) {
      await expect(store.put('k', content, { ifMatch: first.etag })).rejects.toMatchObject({ code: 'ABORTED' });
    }
    await expect(store.put('absent', text('3'), { ifMatch: first.etag })).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(store.delete('k', { ifMatch: first.etag })).rejects.toMatchObject({ code: 'ABORTED' });
    expect(ofText(await store.get('k'))).toBe('2');
    await store.delete('k', { ifMatch: second.etag });
    expect(await store.describe('k')).toBeNull();
    await store.delete('k', { ifMatch: second.etag });
    await store.delete('k');
  });

  it('lets one of several writers win', async () => {
    const { store, reopen } = await open();
    const stores = [store, await reopen(), await reopen(), await reopen()];
    const wins = async (options: object): Promise<number> => {
      const results = await Promise.allSettled(
        stores.map((each, n) => each.put('c', text(`by ${n}: ${randomUUID()}`), options)),
      );
      for (const result of results) {
        if (result.status === 'rejected') expect(['ABORTED', 'ALREADY_EXISTS']).toContain(result.reason.code);
      }
      return results.filter(({ status }) => status === 'fulfilled').length;
    };
    expect(await wins({ ifAbsent: true })).toBe(1);
    for (let round = 0; round < 5; round++) {
      expect(await wins({ ifMatch: (await store.describe('c'))?.etag })).toBe(1);
    }
  });

  it('names an absent object', async () => {
    const { store } = await open();
    const absent = { code: 'NOT_FOUND', resource: { type: 'artifact', name: 'x/z' } };
    await expect(store.get('x/z')).rejects.toMatchObject(absent);
    await expect(store.get('x/z', { offset: 1, length: 1 })).rejects.toMatchObject(absent);
    await expect(collect(store.read('x/z'))).rejects.toMatchObject(absent);
    expect(await store.describe('x/z')).toBeNull();
  });

  it('lists by prefix, in order, by pages', async () => {
    const { store } = await open();
    const all = ['a-b', 'a.b', 'a/1', 'a/B/2', 'a/b/1', 'ab', 'b/2', 'b/1'];
    for (const key of all) await store.put(key, text(key));
    const sorted = [...all].sort();
    expect(await keysOf(store, '')).toEqual(sorted);
    expect(await keysOf(store, 'a')).toEqual(sorted.filter((key) => key.startsWith('a')));
    expect(await keysOf(store, 'a/')).toEqual(['a/1', 'a/B/2', 'a/b/1']);
    expect(await keysOf(store, 'b/')).toEqual(['b/1', 'b/2']);
    expect(await keysOf(store, 'none/')).toEqual([]);
    const paged: string[] = [];
    for (let page = await keysOf(store, '', { limit: 3 }); page.length > 0;) {
      expect(page.length).toBeLessThanOrEqual(3);
      paged.push(...page);
      page = await keysOf(store, '', { limit: 3, startAfter: page.at(-1) as string });
    }
    expect(paged).toEqual(sorted);
    const etag = (await store.describe('a/1'))?.etag;
    for await (const found of store.list('a/1')) expect(found).toMatchObject({ size: 3, etag, sha256: null });
  });

  it('refuses keys and options that cannot be', async () => {
    const { store } = await open();
    const wrong = { code: 'INVALID_ARGUMENT' };
    for (const key of ['../x', 'a//b', '/a', 'a/./b', 'a b', '', 'a/']) {
      await expect(store.put(key, text('x'))).rejects.toMatchObject(wrong);
      await expect(store.get(key)).rejects.toMatchObject(wrong);
      await expect(store.delete(key)).rejects.toMatchObject(wrong);
    }
    await expect(store.put('k', text('x'), { ifAbsent: true, ifMatch: 'e' })).rejects.toMatchObject(wrong);
    await expect(store.put('k', text('x'), { sha256: 'ABC' })).rejects.toMatchObject(wrong);
    await expect(store.get('k', { offset: -1 })).rejects.toMatchObject(wrong);
    await expect(store.get('k', { length: 1.5 })).rejects.toMatchObject(wrong);
    await expect(store.get('k', { length: 1, sha256: hashOf(text('x')) })).rejects.toMatchObject(wrong);
  });
}
