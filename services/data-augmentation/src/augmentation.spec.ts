import { createHash } from 'node:crypto';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSimclrPipeline } from '@kindred/augmentation';
import { decodeImage } from '@kindred/datasets';
import { Split } from '@kindred/protocol/augmentation';
import { blankPng, temporaryFolder } from '@kindred/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cifarSimclr, epochRequest, startAugmentation, type AugmentationUnderTest } from './spec/start-augmentation.js';

/** A 1 × 1 PNG, red. */
const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC',
  'base64',
);

/** CIFAR-10 files of `records` images each, by formula. */
async function writeCifar(folder: string, records: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  const file = Uint8Array.from({ length: records * 3073 }, (_, i) =>
    i % 3073 === 0 ? (i / 3073) % 10 : (i * 7) % 256,
  );
  for (const name of [1, 2, 3, 4, 5].map((n) => `data_batch_${n}.bin`)) await writeFile(join(folder, name), file);
  await writeFile(join(folder, 'test_batch.bin'), file);
}

describe('augmentation service', () => {
  const folder = temporaryFolder();
  const root = join(folder, 'data');
  let service: AugmentationUnderTest;
  beforeAll(async () => {
    await writeCifar(join(root, 'mini'), 4);
    await writeCifar(join(root, 'cut'), 4);
    await writeFile(join(root, 'cut', 'data_batch_3.bin'), new Uint8Array(3073 + 100));
    await writeCifar(join(folder, 'secret'), 4);
    await symlink(join(folder, 'secret'), join(root, 'link'));
    service = await startAugmentation({ roots: [root], maxStreams: 1 });
  });
  afterAll(() => service.close());

  const cifar = (root: string) => ({ name: 'cifar-10', split: Split.TRAIN, root, drawnSize: 0, drawnSeed: 0n });

  it('lists what it finds below its roots, and the drawn set', async () => {
    const { datasets } = await service.client.listDatasets({});
    const listed = datasets.map(({ name, split, root }) => [name, split, root]);
    expect(listed).toContainEqual(['drawn', Split.TRAIN, '']);
    expect(listed).toContainEqual(['cifar-10', Split.VALIDATION, join(root, 'mini')]);
  });

  it('describes a dataset, and sees that its files have changed', async () => {
    const { description } = await service.client.getDataset({ dataset: cifar(join(root, 'mini')) });
    expect(description).toMatchObject({
      size: 20,
      height: 32,
      width: 32,
      dataset: { name: 'cifar-10', split: Split.TRAIN },
    });
    expect(description?.classNames).toHaveLength(10);
    await writeCifar(join(root, 'mini'), 5);
    const changed = await service.client.getDataset({ dataset: cifar(join(root, 'mini')) });
    expect(changed.description?.size).toBe(25);
    expect(changed.description?.contentSha256).not.toBe(description?.contentSha256);
  });

  it('refuses paths outside its roots, by name, by dots and by link, whether they exist or not', async () => {
    for (const outside of [
      join(folder, 'secret'),
      `${root}/../secret`,
      join(root, 'link'),
      '/nowhere/at/all',
      join(root, 'link', 'none'),
    ]) {
      await expect(service.client.getDataset({ dataset: cifar(outside) })).rejects.toMatchObject({
        code: 'PERMISSION_DENIED',
        violations: [{ field: 'dataset.root' }],
      });
    }
  });

  it('opens a small dataset beside a large one, ends the large one with its caller, and refuses what is too large', async () => {
    const drawn = (drawnSize: number) => ({ dataset: { name: 'drawn', split: Split.TRAIN, drawnSize } });
    const caller = new AbortController();
    let largeEnded = false;
    const large = service.client
      .getDataset(drawn(90_000), { signal: caller.signal })
      .catch((thrown: unknown) => thrown)
      .finally(() => (largeEnded = true));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await service.client.getDataset(drawn(20))).description?.size).toBe(20);
    expect(largeEnded).toBe(false);
    caller.abort();
    expect(await large).toMatchObject({ name: 'AbortError' });
    for (const size of [30, 31, 32])
      expect((await service.client.getDataset(drawn(size))).description?.size).toBe(size);
    await expect(service.client.getDataset(drawn(999_999))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'dataset.drawn_size' }],
    });
  });

  it('tells what is missing, unknown or broken', async () => {
    await expect(service.client.getDataset({ dataset: cifar(join(root, 'none')) })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    await expect(service.client.getDataset({ dataset: { name: 'imagenet' } })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    await expect(service.client.getDataset({ dataset: cifar(join(root, 'cut')) })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('data_batch_3.bin') as string,
    });
  });

  it.each([
    ['batch_size', { batchSize: 0 }, 'INVALID_ARGUMENT'],
    ['batch_size', { batchSize: 8193 }, 'INVALID_ARGUMENT'],
    ['batch_size', { batchSize: 301, dropLast: true }, 'INVALID_ARGUMENT'],
    ['first_batch', { firstBatch: 6 }, 'INVALID_ARGUMENT'],
    ['transformation', { transformation: undefined }, 'INVALID_ARGUMENT'],
    [
      'batch_size',
      { batchSize: 300, transformation: { kind: { $case: 'evaluation', value: { cropSize: 1024 } } } },
      'INVALID_ARGUMENT',
    ],
  ] as const)('refuses a stream whose %s cannot be served', async (field, change, code) => {
    const iterator = service.client.streamBatches(epochRequest(change))[Symbol.asyncIterator]();
    await expect(iterator.next()).rejects.toMatchObject({ code, violations: [{ field }] });
  });

  it('refuses one stream too many', async () => {
    const first = service.client.streamBatches(epochRequest({ batchSize: 4 }))[Symbol.asyncIterator]();
    await first.next();
    const second = service.client.streamBatches(epochRequest())[Symbol.asyncIterator]();
    await expect(second.next()).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryAfterMs: 1000 });
    await first.return?.();
  });

  it('augments images that come with the request, and names those that are broken', async () => {
    const transformation = { kind: { $case: 'simclr', value: { ...cifarSimclr, size: 8 } } } as const;
    const answer = await service.client.augment({ images: [png, png], transformation, seed: 3n, epoch: 1 });
    expect(answer).toMatchObject({ count: 2, views: 2, height: 8, width: 8 });
    const pipeline = createSimclrPipeline({
      random_resized_crop: { size: 8, scale: [0.2, 1] },
      color_jitter_random_apply: { p: 0.8 },
      color_jitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 },
      random_grayscale: { p: 0.2 },
    });
    const image = await decodeImage(png, 'png');
    const expected = new Uint8Array(4 * pipeline.viewBytes);
    for (const imageIndex of [0, 1]) {
      pipeline.viewPair(image, { seed: 3n, epoch: 1, imageIndex }, expected, imageIndex * 2 * pipeline.viewBytes);
    }
    const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
    expect(hash(answer.images)).toBe(hash(expected));
    await expect(service.client.augment({ images: [png, png.subarray(0, 40)], transformation })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'images[1]' }],
    });
    const bomb = blankPng(6000, 6000);
    await expect(service.client.augment({ images: [png, bomb], transformation })).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      violations: [{ field: 'images[1]' }],
    });
    await expect(
      service.client.augment({ images: Array(257).fill(png) as Buffer[], transformation }),
    ).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
    });
  });
});
