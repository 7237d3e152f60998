// Where things come from, in the real system: a run over a pushed dataset on MinIO against the same run over its folder.
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { decodeSafetensors } from '@kindred/formats';
import { goProgram, temporaryFolder } from '@kindred/testing';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { startKindred, type Line } from './kindred-command.js';

const experiment = resolve(import.meta.dirname, '../../../configs/pretext/demo_folder.yml');
const minio = await goProgram('minio');
const settings = {
  epochs: '2',
  batch_size: '16',
  num_classes: '2',
  checkpoint_steps: '3',
  'model_kwargs.width': '4',
  'model_kwargs.features_dim': '16',
};

describe.skipIf(minio === null)('a run over a pushed dataset', () => {
  const folder = temporaryFolder('kindred-lineage');
  const pets = join(folder, 'pets');
  const onFolder = join(folder, 'on-folder');
  const onMinio = join(folder, 'on-minio');
  const shards = join(onMinio, 'shard-cache');

  beforeAll(async () => {
    for (const [split, count] of [['train', 60], ['val', 12]] as const) {
      for (let i = 0; i < count; i++) {
        const place = join(pets, split, i % 2 === 0 ? 'cat' : 'dog');
        mkdirSync(place, { recursive: true });
        const pixels = Uint8Array.from({ length: 36 * 36 * 3 }, (_, at) => (at * (3 + (i % 17)) + ((at * at) % (i + 2))) % 256);
        await sharp(pixels, { raw: { width: 36, height: 36, channels: 3 } }).png().toFile(join(place, `${i}.png`));
      }
    }
  }); // prettier-ignore

  const kindred = async (data: string, ...words: string[]): Promise<{ code: number; last: Line; words: string }> => {
    const command = startKindred(data, words);
    const code = await command.exit;
    return { code, last: command.lines.at(-1) ?? {}, words: command.words() };
  };
  const pretext = (data: string, overrides: Record<string, string>, ...words: string[]) => {
    const sets = Object.entries({ ...settings, ...overrides }).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
    const run = ['--config-exp', experiment, '--run-id', 'r1', '--seed', '5'];
    return kindred(data, 'pretext', ...run, ...sets, ...words);
  };
  const store = ['--store', 'minio'] as const;
  const exportedTensors = async (data: string, ...words: string[]): Promise<Map<string, Buffer>> => {
    const target = join(data, 'exported');
    const exported = await kindred(data, ...words, 'artifacts', 'export', 'r1', '--to', target);
    expect(exported.code, exported.words).toBe(0);
    const { tensors } = decodeSafetensors(readFileSync(join(exported.last['folder'] as string, 'model.safetensors')));
    return new Map(
      [...tensors].map(([name, { data: values }]) => [
        name,
        Buffer.from(values.buffer, values.byteOffset, values.byteLength),
      ]),
    );
  };

  it('has the same weights to the bit, and says where all of it comes from', async () => {
    const plain = await kindred(onFolder, 'dataset', 'push', pets, '--name', 'pets', '--shard-mib', '1');
    expect(plain.code, plain.words).toBe(0);
    const pushed = await kindred(onMinio, ...store, 'dataset', 'push', pets, '--name', 'pets', '--shard-mib', '1');
    expect(pushed.code, pushed.words).toBe(0);
    // Content alone decides what a dataset is, not the store that it lies in.
    expect(pushed.last['sha256']).toBe(plain.last['sha256']);

    const first = await pretext(onFolder, {}, '--data-dir', pets);
    expect(first.code, first.words).toBe(0);
    const artifact = { train_db_name: 'artifact:pets', val_db_name: 'artifact:pets' };
    const second = await pretext(onMinio, artifact, ...store);
    expect(second.code, second.words).toBe(0);
    expect(second.last['knnTop1PerEpoch']).toEqual(first.last['knnTop1PerEpoch']);
    expect(await exportedTensors(onMinio, ...store)).toEqual(await exportedTensors(onFolder));

    const listed = await kindred(onMinio, ...store, 'artifacts', 'list');
    const artifacts = listed.last['artifacts'] as { kind: string; inputs: { id: string; sha256: string }[] }[];
    expect(artifacts.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['run', 'dataset', 'model', 'feature-set', 'index']),
    );
    const model = await kindred(onMinio, ...store, 'artifacts', 'show', 'model', 'r1');
    const reference = await kindred(onFolder, 'artifacts', 'show', 'model', 'r1');
    const hashes = ({ last }: { last: Line }) => (last['inputs'] as { sha256: string }[]).map(({ sha256 }) => sha256);
    expect(hashes(model)).toEqual(hashes(reference));
    expect(hashes(model).every((sha256) => /^[0-9a-f]{64}$/.test(sha256))).toBe(true);
    const dataset = await kindred(onMinio, ...store, 'artifacts', 'show', 'dataset', 'pets');
    expect(dataset.last['usedBy']).toEqual(expect.arrayContaining([{ kind: 'model', id: 'r1' }]));
    const models = await kindred(onMinio, ...store, 'models', 'show', 'simclr-pets@latest');
    expect(models.last).toMatchObject({ version: 1, key: 'runs/r1/model.safetensors' });
  });

  it('loses nothing to garbage collection, and is verified whole', async () => {
    const before = await kindred(onMinio, ...store, 'artifacts', 'verify');
    expect(before, before.words).toMatchObject({ code: 0, last: { faults: [] } });
    const collected = await kindred(onMinio, ...store, 'artifacts', 'gc', '--delete', '--grace-hours', '0');
    expect(collected.code, collected.words).toBe(0);
    const after = await kindred(onMinio, ...store, 'artifacts', 'verify');
    expect(after.last['objects']).toBe(before.last['objects']);
    expect(after.last['faults']).toEqual([]);
    // The dataset is still all there: it is read anew, without the cache.
    rmSync(shards, { recursive: true });
    const shown = await kindred(onMinio, ...store, 'dataset', 'show', 'artifact:pets');
    expect(shown, shown.words).toMatchObject({ code: 0, last: { splits: [{ size: 60 }, { size: 12 }] } });
  });
});
