// What a reference that stands for nothing is answered with.
import { join } from 'node:path';
import { createFolderStore } from '@kindred/artifact-store';
import { createModelRegistry } from '@kindred/lineage';
import { temporaryFolder } from '@kindred/testing';
import { expect, it } from 'vitest';
import { smallModel } from '../spec/running-embedding.js';
import { createModelSource } from './model-source.js';

it('names what there is: models of the registry and of runs, or the versions of the one that is meant', async () => {
  const store = await createFolderStore(join(temporaryFolder(), 'artifacts'));
  const key = 'runs/first/model.safetensors';
  const { sha256, size } = await store.put(key, smallModel(1));
  const source = { kind: 'run' as const, id: 'first' };
  await createModelRegistry(store).register('cats', { key, sha256, size, source, description: '' });
  await store.put('runs/unfinished/log.txt', Buffer.from('no model'));
  const { resolve } = createModelSource(store);
  const answerOf = async (reference: string): Promise<string> =>
    resolve(reference).then(
      () => 'found',
      (thrown: unknown) => (thrown instanceof Error ? thrown.message : ''),
    );
  for (const reference of ['dogs', 'dogs@3', 'dogs@production', 'No Name'])
    expect(await answerOf(reference)).toBe(`model '${reference}' does not exist; known: cats, first`);
  expect(await answerOf('cats@7')).toBe("model 'cats@7' does not exist; known: 1");
  expect(await answerOf('cats@production')).toBe("model 'cats@production' does not exist; known: latest");
  const other = `first@${'0'.repeat(12)}`;
  expect(await answerOf(other)).toBe(`model '${other}' does not exist; known: first@${sha256.slice(0, 12)}`);
});
