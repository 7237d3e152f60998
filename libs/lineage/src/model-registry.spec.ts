import { createHash } from 'node:crypto';
import { createMemoryStore } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { createModelRegistry, watchModel, type NewModelVersion, type ResolvedModel } from './index.js';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const sha256 = (value: string): string => createHash('sha256').update(value).digest('hex');

function fileOf(run: string): NewModelVersion {
  const source = { kind: 'run', id: run } as const;
  return { key: `runs/${run}/model.safetensors`, sha256: sha256(run), size: run.length, source, description: '' };
}

describe('model registry', () => {
  it('counts versions, keeps latest at the newest, and gives the same file the same version', async () => {
    const registry = createModelRegistry(createMemoryStore());
    expect((await registry.register('cats', fileOf('a'))).version).toBe(1);
    expect((await registry.register('cats', fileOf('b'))).version).toBe(2);
    expect((await registry.register('cats', fileOf('a'))).version).toBe(1);
    expect((await registry.get('cats')).aliases).toEqual({ latest: 2 });
    expect(await registry.resolve('cats')).toEqual({
      name: 'cats',
      version: 2,
      key: 'runs/b/model.safetensors',
      sha256: sha256('b'),
    });
    expect(await registry.resolve('cats@1')).toMatchObject({ version: 1, sha256: sha256('a') });
  });

  it('moves aliases, only from where they are expected', async () => {
    const registry = createModelRegistry(createMemoryStore());
    for (const run of ['a', 'b', 'c']) await registry.register('cats', fileOf(run));
    await registry.setAlias('cats', 'production', 1, null);
    await registry.setAlias('cats', 'production', 2, 1);
    await expect(registry.setAlias('cats', 'production', 3, 1)).rejects.toMatchObject({
      code: 'ABORTED',
      resource: { name: 'cats@production' },
    });
    expect(await registry.resolve('cats@production')).toMatchObject({ version: 2 });
    await expect(registry.setAlias('cats', 'production', 9)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(registry.setAlias('cats', 'latest', 1)).rejects.toMatchObject({ violations: [{ field: 'alias' }] });
    await registry.deleteAlias('cats', 'production');
    await expect(registry.resolve('cats@production')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('removes versions that no alias points at, and never gives a number again', async () => {
    const registry = createModelRegistry(createMemoryStore());
    for (const run of ['a', 'b', 'c']) await registry.register('cats', fileOf(run));
    await registry.setAlias('cats', 'production', 2);
    await expect(registry.deleteVersion('cats', 2)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await registry.deleteVersion('cats', 3);
    expect((await registry.get('cats')).aliases).toEqual({ latest: 2, production: 2 });
    await registry.delete('cats');
    expect(await registry.list()).toEqual({ models: [], damaged: [] });
    await expect(registry.get('cats')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(registry.setAlias('cats', 'production', 1)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await registry.register('cats', fileOf('d'))).version).toBe(4);
  });

  it('finds the model of a run that is not registered, old ones without a kept hash too', async () => {
    const store = createMemoryStore();
    const registry = createModelRegistry(store);
    await store.put('runs/r1/model.safetensors', text('weights'));
    expect(await registry.resolve('r1')).toEqual({
      name: 'r1',
      version: null,
      key: 'runs/r1/model.safetensors',
      sha256: sha256('weights'),
    });
    const forgetful = { ...store, describe: async () => ({ ...(await store.describe('x'))!, sha256: null }) };
    expect((await createModelRegistry(forgetful).resolve('r1')).sha256).toBe(sha256('weights'));
    await expect(registry.resolve('r2')).rejects.toMatchObject({ code: 'NOT_FOUND', resource: { name: 'r2' } });
    await expect(registry.resolve('r1@1')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it.each(['', '@1', 'a@', 'a@0', 'A', 'a/b', '../a', 'a@b@c', `a@${'1'.repeat(10)}`, 'x'.repeat(101)])(
    'refuses %j as a reference',
    async (reference) => {
      const registry = createModelRegistry(createMemoryStore());
      await expect(registry.resolve(reference)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        violations: [{ field: 'model' }],
      });
    },
  );

  it('names a damaged object instead of replacing it', async () => {
    const store = createMemoryStore();
    await store.put('registry/cats.json', text('{"schemaVersion":1,'));
    const registry = createModelRegistry(store);
    const damaged = { code: 'DATA_LOSS', resource: { name: 'registry/cats.json' } };
    await expect(registry.register('cats', fileOf('a'))).rejects.toMatchObject(damaged);
    await expect(registry.resolve('cats')).rejects.toMatchObject(damaged);
    expect(Buffer.from(await store.get('registry/cats.json')).toString()).toBe('{"schemaVersion":1,');
  });

  it('lists the others beside entries that cannot be read, and names those', async () => {
    const store = createMemoryStore();
    const registry = createModelRegistry(store);
    for (const name of ['ants', 'cats', 'dogs']) await registry.register(name, fileOf(name));
    await store.put('registry/cats.json', (await store.get('registry/cats.json')).subarray(0, 50));
    await store.put('registry/Cats.json', text('{}'));
    const { models, damaged } = await registry.list();
    expect(models.map(({ name }) => name)).toEqual(['ants', 'dogs']);
    expect(damaged).toHaveLength(2);
    expect(damaged).toContainEqual({
      name: 'cats',
      key: 'registry/cats.json',
      problem: expect.stringContaining('registry/cats.json is damaged') as string,
    });
    // What is looked for and not there is still told with what there is.
    await expect(registry.get('bees')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('ants, dogs') as string,
    });
  });

  it('loses nothing of changes that overlap', async () => {
    const store = createMemoryStore();
    const runs = Array.from({ length: 12 }, (_, i) => `run-${i}`);
    await createModelRegistry(store).register('cats', fileOf('first'));
    await Promise.all([
      ...runs.map((run) => createModelRegistry(store).register('cats', fileOf(run))),
      ...runs.map((run) => createModelRegistry(store).setAlias('cats', run, 1)),
    ]);
    const model = await createModelRegistry(store).get('cats');
    expect(model.versions.map(({ version }) => version)).toEqual(Array.from({ length: 13 }, (_, i) => i + 1));
    expect(new Set(model.versions.map(({ source }) => source.id))).toEqual(new Set(['first', ...runs]));
    expect(model.aliases).toEqual({ latest: 13, ...Object.fromEntries(runs.map((run) => [run, 1])) });
    expect(model.revision).toBe(25);
  });
});

describe('watchModel', () => {
  it('yields each move of an alias and reads nothing in between', async () => {
    const store = createMemoryStore();
    const registry = createModelRegistry(store);
    for (const run of ['a', 'b']) await registry.register('cats', fileOf(run));
    let reads = 0;
    const counted = { ...store, get: (key: string) => (reads++, store.get(key)) };
    const ending = new AbortController();
    const seen: ResolvedModel[] = [];
    const errors: string[] = [];
    const onError = ({ code }: { code: string }): void => void errors.push(code);
    const watching = (async () => {
      const options = { signal: ending.signal, intervalMs: 1, onError };
      for await (const model of watchModel(counted, 'cats@production', options)) seen.push(model);
    })();
    const until = async (holds: () => boolean): Promise<void> => {
      while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1));
    };
    await until(() => errors.includes('NOT_FOUND'));
    await registry.setAlias('cats', 'production', 1);
    await until(() => seen.length === 1);
    const before = reads;
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(reads).toBe(before);
    // A change of the model that leaves the alias where it is is no move.
    await registry.register('cats', fileOf('c'));
    await registry.setAlias('cats', 'production', 2);
    await until(() => seen.length === 2);
    ending.abort();
    await watching;
    expect(seen.map(({ version }) => version)).toEqual([1, 2]);
  });
});
