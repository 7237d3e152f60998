// Batches of a pushed dataset from the real service, against those of the folder that it was pushed from.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createFolderStore, type ArtifactStore } from '@kindred/artifact-store';
import { pushDataset } from '@kindred/datasets';
import { datasetSetKey, datasetShardKey, manifestKey } from '@kindred/lineage';
import { Split, type StreamBatchesRequest } from '@kindred/protocol/augmentation';
import { createLogger } from '@kindred/service-runtime';
import { temporaryFolder } from '@kindred/testing';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cifarSimclr, startAugmentation, type AugmentationUnderTest } from './spec/start-augmentation.js';

const shardBytes = 3000;

async function paint(path: string, seed: number): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  const pixels = Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => (i * (7 + seed) + seed * 31) % 256);
  await sharp(pixels, { raw: { width: 32, height: 32, channels: 3 } })
    .png()
    .toFile(path);
}

describe('a pushed dataset', () => {
  const folder = temporaryFolder('pushed');
  const root = join(folder, 'pets');
  const artifactStore = join(folder, 'artifacts');
  const shardCache = { folder: join(folder, 'shards'), maxBytes: 2 ** 20 };
  let store: ArtifactStore;
  const services: AugmentationUnderTest[] = [];
  const start = async (options: Parameters<typeof startAugmentation>[0] = {}): Promise<AugmentationUnderTest> => {
    const service = await startAugmentation({ roots: [folder], artifactStore, shardCache, ...options });
    services.push(service);
    return service;
  };
  const push = (name: string) => pushDataset(store, { name, form: 'folder', root, shardBytes });
  beforeAll(async () => {
    for (let i = 0; i < 14; i++) await paint(join(root, `train/${i % 2 === 0 ? 'cat' : 'dog'}/${i}.png`), i);
    for (let i = 0; i < 4; i++) await paint(join(root, `val/cat/${i}.png`), 40 + i);
    store = await createFolderStore(artifactStore);
  });
  afterAll(() => Promise.all(services.map((service) => service.close())));

  const epochHash = async (
    { client }: AugmentationUnderTest,
    dataset: StreamBatchesRequest['dataset'],
  ): Promise<{ readonly batches: string; readonly content: string; readonly count: number }> => {
    const hash = createHash('sha256');
    let content = '';
    let count = 0;
    const transformation = { kind: { $case: 'simclr', value: cifarSimclr } } as const;
    const request = { dataset, transformation, batchSize: 5, shuffle: true, seed: 3n, epoch: 2 };
    for await (const { images, indices, labels, contentSha256, count: size } of client.streamBatches(request)) {
      for (const part of [images, indices, labels]) hash.update(part);
      content ||= contentSha256;
      count += size;
    }
    return { batches: hash.digest('hex'), content, count };
  };
  const reference = (name: string, split: Split, place = '') => ({
    name,
    split,
    root: place,
    drawnSize: 0,
    drawnSeed: 0n,
  });

  it('gives the same batches to the bit as its folder, also from its cache', async () => {
    await push('pets');
    const service = await start();
    for (const split of [Split.TRAIN, Split.VALIDATION, Split.TRAIN_AND_UNLABELED]) {
      const expected = await epochHash(service, reference('folder', split, root));
      expect(expected.count).toBe(split === Split.VALIDATION ? 4 : 14);
      expect(await epochHash(service, reference('artifact:pets', split))).toEqual(expected);
    }
    expect(readdirSync(shardCache.folder).length).toBeGreaterThan(4);
    // Another process, with no store left to read shards from.
    rmSync(join(artifactStore, 'datasets/shards'), { recursive: true });
    const expected = await epochHash(service, reference('folder', Split.TRAIN, root));
    await service.close();
    services.pop();
    expect(await epochHash(await start(), reference('artifact:pets', Split.TRAIN))).toEqual(expected);
    await push('pets');
  });

  it('is listed, described with its content, and stays what it was when its name is given to other images', async () => {
    await push('named');
    const { client } = await start();
    const listed = (await client.listDatasets({})).datasets.map(({ name, split }) => [name, split]);
    expect(listed).toContainEqual(['artifact:named', Split.TRAIN]);
    expect(listed).toContainEqual(['artifact:named', Split.VALIDATION]);
    expect(listed).not.toContainEqual(['artifact:named', Split.UNLABELED]);
    const before = (await client.getDataset({ dataset: reference('artifact:named', Split.TRAIN) })).description;
    expect(before).toMatchObject({ size: 14, height: 32, width: 32, classNames: ['cat', 'dog'] });
    const pinned = before?.dataset?.name ?? '';
    expect(pinned).toMatch(/^artifact:named@[0-9a-f]{16}$/);
    await paint(join(root, 'train/dog/99.png'), 99);
    await push('named');
    rmSync(join(root, 'train/dog/99.png'));
    expect((await client.getDataset({ dataset: reference('artifact:named', Split.TRAIN) })).description?.size).toBe(15);
    const still = await client.getDataset({ dataset: reference(pinned, Split.TRAIN) });
    expect(still.description?.contentSha256).toBe(before?.contentSha256);
  });

  it.each(['description', 'manifest'])('does not hide the others when its %s is damaged', async (part) => {
    await push('whole');
    rmSync(join(root, 'val/cat/3.png'));
    const { sha256 } = await push('broken');
    await paint(join(root, 'val/cat/3.png'), 43);
    const words: string[] = [];
    const logger = Object.assign(createLogger('spec', 'silent'), {
      error: ({ dataset }: { dataset: string }, message: string) => void words.push(`${dataset}: ${message}`),
    });
    const { client } = await start({ logger });
    const names = async (): Promise<string[]> => (await client.listDatasets({})).datasets.map(({ name }) => name);
    expect(await names()).toEqual(expect.arrayContaining(['artifact:whole', 'artifact:broken']));
    const key = part === 'manifest' ? manifestKey('dataset', 'broken') : datasetSetKey(sha256);
    const bytes = await store.get(key);
    writeFileSync(join(artifactStore, key), Buffer.from(bytes).fill(0, 3, 4));
    const listed = await names();
    expect(listed).toContain('artifact:whole');
    expect(listed).not.toContain('artifact:broken');
    expect(words).toEqual([expect.stringMatching(/^artifact:broken: /)]);
    expect(words[0]).toContain(key);
    // The damaged one itself says so, too.
    await expect(client.getDataset({ dataset: reference('artifact:broken', Split.TRAIN) })).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringContaining(key) as string,
    });
    await store.put(key, bytes);
    expect(await names()).toContain('artifact:broken');
  });

  it('is DATA_LOSS, naming shard and dataset, when a shard is broken in the store', async () => {
    const { set } = await push('hurt');
    const { client } = await start({ shardCache: { folder: join(folder, 'empty'), maxBytes: 2 ** 20 } });
    const key = datasetShardKey(set.splits['train']?.shards[1]?.sha256 ?? '');
    const whole = await store.get(key);
    writeFileSync(join(artifactStore, key), Buffer.from(whole).fill(0, 300, 301));
    await expect(client.getDataset({ dataset: reference('artifact:hurt', Split.TRAIN) })).rejects.toMatchObject({
      code: 'DATA_LOSS',
      resource: { type: 'artifact', name: key },
      message: expect.stringContaining('artifact:hurt@') as string,
    });
    expect((await client.getDataset({ dataset: reference('artifact:hurt', Split.VALIDATION) })).description?.size).toBe(
      4,
    );
    await store.put(key, whole);
    expect((await client.getDataset({ dataset: reference('artifact:hurt', Split.TRAIN) })).description?.size).toBe(14);
  });

  it('that has no room in memory is refused before a shard of it is fetched', async () => {
    await push('large');
    const cacheFolder = join(folder, 'no-room');
    const { client } = await start({ cacheBytes: 20_000, shardCache: { folder: cacheFolder, maxBytes: 2 ** 20 } });
    const get = (split: Split) => client.getDataset({ dataset: reference('artifact:large', split) });
    await expect(get(Split.TRAIN)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(existsSync(cacheFolder) ? readdirSync(cacheFolder) : []).toEqual([]);
    expect((await get(Split.VALIDATION)).description?.size).toBe(4);
  });

  it.each([
    ['artifact:none', 'NOT_FOUND'],
    ['artifact:pets@00000000', 'NOT_FOUND'],
    ['artifact:', 'INVALID_ARGUMENT'],
    ['artifact:../pets', 'INVALID_ARGUMENT'],
    ['artifact:pets@xyz', 'INVALID_ARGUMENT'],
  ])('refuses %s with %s', async (name, code) => {
    const { client } = services[0] ?? (await start());
    await expect(client.getDataset({ dataset: reference(name, Split.TRAIN) })).rejects.toMatchObject({ code });
  });

  it('tells a split that it does not have', async () => {
    const { client } = services[0] ?? (await start());
    await expect(client.getDataset({ dataset: reference('artifact:pets', Split.UNLABELED) })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      violations: [{ field: 'split' }],
    });
  });
});
