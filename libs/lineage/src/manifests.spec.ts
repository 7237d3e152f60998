import { createMemoryStore } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { codeVersion, listManifests, readManifest, updateManifest, writeManifest } from './index.js';
import { manifestOf, text } from './spec/filled-store.js';

describe('manifests', () => {
  it('come back as they were written, with a form and a time', async () => {
    const store = createMemoryStore();
    const manifest = manifestOf({
      kind: 'feature-set',
      id: 'r1/cifar-10-train',
      inputs: [{ kind: 'dataset', id: 'cifar-10/train', sha256: 'ab'.repeat(32) }],
      config: { feature_kind: 'embedding', nested: { list: [1, null] } },
      seed: String(2n ** 64n - 1n),
      metrics: { images: 50_000 },
      files: [{ key: 'features/x.npy', size: 3, sha256: 'cd'.repeat(32) }],
    });
    expect(await writeManifest(store, manifest)).toBe('manifests/feature-set/r1/cifar-10-train.json');
    const read = await readManifest(store, 'feature-set', 'r1/cifar-10-train');
    expect(read).toMatchObject({ ...manifest, schemaVersion: 1 });
    expect(Date.now() - Date.parse(read?.createTime ?? '')).toBeLessThan(60_000);
    expect(await readManifest(store, 'run', 'r1')).toBeNull();
  });

  it('are refused when damaged, of a later form, or at the place of another, and listed as such', async () => {
    const store = createMemoryStore();
    await writeManifest(store, manifestOf({ kind: 'run', id: 'a' }));
    const whole = Buffer.from(await store.get('manifests/run/a.json')).toString();
    await store.put('manifests/run/cut.json', text(whole.slice(0, 40)));
    await store.put('manifests/run/later.json', text(whole.replace('"schemaVersion": 1', '"schemaVersion": 2')));
    await store.put('manifests/run/moved.json', text(whole));
    for (const id of ['cut', 'later', 'moved']) {
      await expect(readManifest(store, 'run', id)).rejects.toMatchObject({
        code: 'DATA_LOSS',
        resource: { name: `manifests/run/${id}.json` },
      });
    }
    const listed: unknown[] = [];
    for await (const { id, manifest } of listManifests(store)) listed.push([id, manifest !== null]);
    expect(listed).toEqual([['a', true], ['cut', false], ['later', false], ['moved', false]]); // prettier-ignore
    await expect(writeManifest(store, manifestOf({ kind: 'run', id: 'a', seed: 'x' }))).rejects.toThrow();
  });

  it('lose nothing of changes that overlap', async () => {
    const store = createMemoryStore();
    const names = Array.from({ length: 10 }, (_, i) => `m${i}`);
    await Promise.all(
      names.map((name, i) =>
        updateManifest(store, 'index', 'i', (before) =>
          manifestOf({ kind: 'index', id: 'i', metrics: { ...before?.metrics, [name]: i } }),
        ),
      ),
    );
    expect(Object.keys((await readManifest(store, 'index', 'i'))?.metrics ?? {}).sort()).toEqual(names);
  });

  it('name the code by version and, in a checkout, commit', async () => {
    expect(await codeVersion()).toMatch(/^\d+\.\d+\.\d+(\+[0-9a-f]{7,}(-dirty)?)?$/);
  });
});
