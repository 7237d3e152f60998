// Datasets pushed to a store and opened from it, against the same datasets opened from their files.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  collectGarbage,
  datasetShardKey,
  readDatasetSet,
  readManifest,
  resolveDatasetArtifact,
  verifyStore,
  type DatasetFile,
} from '@kindred/lineage';
import { createMemoryStore, temporaryFolder, type MemoryStore } from '@kindred/testing';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { openDataset, openDatasetArtifact, pushDataset } from './index.js';

const folder = temporaryFolder('push');
const root = join(folder, 'pets');
/** Small enough that each split has several shards. */
const shardBytes = 1500;

async function paint(path: string, seed: number, width: number, height: number): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  const pixels = Uint8Array.from(
    { length: width * height * 3 },
    (_, i) => (i * 37 + seed * 101 + ((i * i) % 13)) % 256,
  );
  const image = sharp(pixels, { raw: { width, height, channels: 3 } });
  await (path.endsWith('.jpg') ? image.jpeg({ quality: 80 }) : image.png()).toFile(path);
}

/** CIFAR-10 files of `records` images each, by formula. */
function writeCifar(place: string, records: number): void {
  mkdirSync(place, { recursive: true });
  const file = Uint8Array.from({ length: records * 3073 }, (_, i) =>
    i % 3073 === 0 ? (i / 3073) % 10 : (i * 7 + (i % 251)) % 256,
  );
  for (const n of [1, 2, 3, 4, 5]) writeFileSync(join(place, `data_batch_${n}.bin`), file);
  writeFileSync(join(place, 'test_batch.bin'), file);
}

beforeAll(async () => {
  for (let i = 0; i < 9; i++) {
    await paint(join(root, `train/${i % 2 === 0 ? 'cat' : 'dog'}/${i}.${i % 3 === 0 ? 'jpg' : 'png'}`), i, 9 + i, 12);
  }
  for (let i = 0; i < 3; i++) await paint(join(root, `val/dog/${i}.png`), 50 + i, 8, 8);
  writeCifar(join(folder, 'cifar'), 3);
});

async function openPushed(store: MemoryStore, sha256: string, split: string) {
  const set = await readDatasetSet(store, sha256);
  const fetch = ({ sha256: hash }: DatasetFile) => store.get(datasetShardKey(hash), hash);
  return openDatasetArtifact({ name: 'artifact:x', split, set, fetch });
}

describe('a pushed dataset', () => {
  it.each([
    ['folder', 'pets', ['train', 'val', 'test']],
    ['cifar-10', 'cifar', ['train', 'val', 'train+unlabeled']],
  ] as const)('opens to the same images, labels and classes as its files: %s', async (form, place, splits) => {
    const store = createMemoryStore();
    const pushed = await pushDataset(store, { name: 'x', form, root: join(folder, place), shardBytes });
    expect(pushed.set.splits['train']?.shards.length).toBeGreaterThan(2);
    for (const split of splits) {
      const fromFiles = await openDataset({ name: form, split: split.split('+')[0] ?? '', root: join(folder, place) });
      const fromStore = await openPushed(store, pushed.sha256, split);
      expect(fromStore.contentHash).toBe(fromFiles.contentHash);
      expect(fromStore.classNames).toEqual(fromFiles.classNames);
    }
    expect((await verifyStore(store)).faults).toEqual([]);
    expect(await resolveDatasetArtifact(store, { name: 'x', hash: null })).toEqual({
      name: 'x',
      sha256: pushed.sha256,
    });
    expect((await readManifest(store, 'dataset', 'x'))?.metrics['train_images']).toBe(
      pushed.set.splits['train']?.images,
    );
  });

  it('uploads nothing twice, wherever it lies and whatever its name is', async () => {
    const store = createMemoryStore();
    const first = await pushDataset(store, { name: 'x', form: 'folder', root, shardBytes });
    expect(first).toMatchObject({ reusedFiles: 0 });
    const moved = join(folder, 'moved');
    renameSync(root, moved);
    const second = await pushDataset(store, { name: 'y', form: 'folder', root: moved, shardBytes });
    renameSync(moved, root);
    expect(second).toMatchObject({ sha256: first.sha256, uploadedFiles: 0, uploadedBytes: 0 });
    expect(store.keys().filter((key) => key.startsWith('datasets/pushes/'))).toEqual([]);
  });

  it('goes on after a break, and has no name before all of it is there', async () => {
    const store = createMemoryStore();
    let puts = 0;
    const breaking = {
      ...store,
      put: (...call: Parameters<MemoryStore['put']>) => {
        if (call[0].startsWith('datasets/shards/') && ++puts > 2) throw new Error('the network broke');
        return store.put(...call);
      },
    };
    const options = { name: 'x', form: 'folder', root, shardBytes } as const;
    await expect(pushDataset(breaking, options)).rejects.toThrow('the network broke');
    await expect(resolveDatasetArtifact(store, { name: 'x', hash: null })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const again = await pushDataset(store, options);
    expect(again.reusedFiles).toBe(2);
    expect((await openPushed(store, again.sha256, 'train')).size).toBe(9);
  });

  it('says so when a shard is deleted while it gets its name, and mends it when pushed again', async () => {
    const store = createMemoryStore();
    const options = { name: 'x', form: 'folder', root, shardBytes } as const;
    const isShard = (key: string): boolean => key.startsWith('datasets/shards/');
    const losing = {
      ...store,
      async put(...call: Parameters<MemoryStore['put']>) {
        if (call[0].startsWith('manifests/')) await store.delete(store.keys().find(isShard) ?? '');
        return store.put(...call);
      },
    };
    await expect(pushDataset(losing, options)).rejects.toMatchObject({
      code: 'ABORTED',
      message: expect.stringContaining('push it again') as string,
    });
    expect(await pushDataset(store, options)).toMatchObject({ uploadedFiles: 1 });
    expect((await verifyStore(store)).faults).toEqual([]);
  });

  it('keeps what another dataset shares when one is pushed anew, and lets go of the rest', async () => {
    const store = createMemoryStore();
    const old = await pushDataset(store, { name: 'x', form: 'folder', root, shardBytes });
    await paint(join(root, 'train/dog/99.png'), 99, 20, 20);
    const now = await pushDataset(store, { name: 'x', form: 'folder', root, shardBytes });
    expect(now.sha256).not.toBe(old.sha256);
    expect(now.reusedFiles).toBeGreaterThan(0);
    await collectGarbage(store, { remove: true, graceMs: -1000 });
    await expect(openPushed(store, old.sha256, 'train')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await openPushed(store, now.sha256, 'train')).size).toBe(10);
  });

  it('refuses a broken image by its path, and a name that no reference could hold', async () => {
    const store = createMemoryStore();
    mkdirSync(join(folder, 'broken/train/cat'), { recursive: true });
    writeFileSync(join(folder, 'broken/train/cat/a.png'), 'no image');
    await expect(pushDataset(store, { name: 'x', form: 'folder', root: join(folder, 'broken') })).rejects.toMatchObject(
      { code: 'DATA_LOSS', message: expect.stringContaining('cat/a.png') as string },
    );
    await expect(pushDataset(store, { name: 'X@1', form: 'folder', root })).rejects.toMatchObject({
      violations: [{ field: 'name' }],
    });
    expect(store.keys()).toEqual([]);
  });
});
