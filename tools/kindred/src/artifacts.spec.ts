import { appendFileSync, existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFolderStore } from '@kindred/artifact-store';
import { createModelRegistry, writeManifest } from '@kindred/lineage';
import { temporaryFolder } from '@kindred/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { runHere } from './spec/run-here.js';

describe('kindred artifacts', () => {
  const data = join(temporaryFolder(), 'data');
  const artifacts = join(data, 'artifacts');
  const path = (key: string): string => join(artifacts, key);
  const kindred = (...words: string[]) => runHere(data, 'artifacts', ...words);

  beforeAll(async () => {
    const store = await createFolderStore(artifacts);
    const experiment = { train_db_name: 'drawn', val_db_name: 'drawn' };
    const record = { state: 'succeeded', specification: { runId: 'r1', experiment }, tail: [] };
    await store.put('runs/r1/run.json', Buffer.from(JSON.stringify(record)));
    const key = 'runs/r1/model.safetensors';
    const file = { key, ...(await store.put(key, Buffer.from('weights'))) };
    const { sha256, size } = file;
    const common = {
      producer: { program: 'spec', version: '1' },
      config: { lr: 0.4 },
      seed: '7',
      metrics: { knn: 50 },
    };
    const files = [{ key, sha256, size }];
    await writeManifest(store, { ...common, kind: 'model', id: 'r1', inputs: [], files });
    const source = { kind: 'run', id: 'r1' } as const;
    await createModelRegistry(store).register('cats', { key, sha256, size, source, description: '' });
    const features = 'features/r1/train-features.npy';
    const stored = await store.put(features, Buffer.from('features'));
    const inputs = [{ kind: 'model', id: 'r1', sha256 } as const];
    const featureFiles = [{ key: features, sha256: stored.sha256, size: stored.size }];
    await writeManifest(store, { ...common, kind: 'feature-set', id: 'r1/train', inputs, files: featureFiles });
    await store.put('runs/gone/tensorboard/events', Buffer.from('left'));
  });

  it('lists and shows what was made from what', async () => {
    const listed = await kindred('list');
    expect(listed).toMatchObject({ code: 0, result: { artifacts: [{ kind: 'model' }, { kind: 'feature-set' }] } });
    expect(await kindred('show', 'model', 'r1')).toMatchObject({
      code: 0,
      result: { seed: '7', config: { lr: 0.4 }, usedBy: [{ kind: 'feature-set', id: 'r1/train' }] },
    });
    expect(await kindred('show', 'model', 'none')).toMatchObject({ code: 2, result: { code: 'NOT_FOUND' } });
    expect(await kindred('list', '--kind', 'thing')).toMatchObject({ code: 2, result: { code: 'INVALID_ARGUMENT' } });
  });

  it('deletes garbage only when asked to, and nothing that is young', async () => {
    const garbage = path('runs/gone/tensorboard/events');
    expect(await kindred('gc', '--delete')).toMatchObject({ code: 0, result: { garbage: [], young: 1, deleted: 0 } });
    const old = new Date(Date.now() - 48 * 3_600_000);
    utimesSync(garbage, old, old);
    expect(await kindred('gc')).toMatchObject({
      code: 0,
      result: { garbage: [{ key: 'runs/gone/tensorboard/events' }], deleted: 0 },
    });
    expect(existsSync(garbage)).toBe(true);
    expect(await kindred('gc', '--delete')).toMatchObject({ code: 0, result: { deleted: 1, deletedBytes: 4 } });
    expect(existsSync(garbage)).toBe(false);
    expect((await kindred('verify')).code).toBe(0);
  });

  it('lets objects of others go by a rule alone, and nothing of its own', async () => {
    const store = await createFolderStore(artifacts);
    const keys = ['backups/1.tar', 'backups/2.tar', 'backups/3.tar'];
    for (const [i, key] of keys.entries()) {
      await store.put(key, Buffer.from(key));
      const made = new Date(Date.now() - (10 - 3 * i) * 86_400_000);
      utimesSync(path(key), made, made);
    }
    const gone = (): string[] => keys.filter((key) => !existsSync(path(key)));
    expect(await kindred('gc', '--delete')).toMatchObject({ code: 0, result: { unknown: keys, expired: [] } });
    const rules = ['--rule', 'backups/:newest=1,days=8', '--rule', 'runs/:newest=0', '--rule', 'features/:newest=0'];
    expect(await kindred('gc', ...rules)).toMatchObject({ code: 0, result: { expired: [{ key: 'backups/1.tar' }] } });
    expect(gone()).toEqual([]);
    expect(await kindred('gc', '--delete', ...rules)).toMatchObject({
      code: 0,
      result: { expired: [{ key: 'backups/1.tar' }], deleted: 0 },
    });
    expect(gone()).toEqual(['backups/1.tar']);
    expect((await kindred('verify')).code).toBe(0);
    for (const rule of [':newest=1', 'backups/', 'backups/:newest=', 'backups/:oldest=1', 'backups/:newest=x'])
      expect(await kindred('gc', '--rule', rule)).toMatchObject({ code: 2, result: { code: 'INVALID_ARGUMENT' } });
  });

  it('verifies, names each damaged file and what it belongs to, and ends with exit code 4', async () => {
    expect(await kindred('verify')).toMatchObject({ code: 0, result: { faults: [] } });
    appendFileSync(path('features/r1/train-features.npy'), '!');
    const model = readFileSync(path('runs/r1/model.safetensors'));
    writeFileSync(path('runs/r1/model.safetensors'), model.fill(1, 0, 1));
    const { code, result, words } = await kindred('verify');
    expect(code).toBe(4);
    expect(result['faults']).toMatchObject([
      { kind: 'damaged', key: 'features/r1/train-features.npy', by: ['feature-set r1/train'] },
      { kind: 'damaged', key: 'runs/r1/model.safetensors', by: expect.arrayContaining(['model cats@1']) as unknown },
    ]);
    expect(words).toContain('runs/r1/model.safetensors');
  });
});
