import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@kindred/testing';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { newRunId } from './settings.js';
import { runHere } from './spec/run-here.js';

describe('kindred dataset push', () => {
  const folder = temporaryFolder();
  const data = join(folder, 'data');
  const kindred = (...words: string[]) => runHere(data, ...words);
  beforeAll(async () => {
    for (const place of ['train/cat', 'train/dog', 'val/cat']) {
      mkdirSync(join(folder, 'pets', place), { recursive: true });
      const image = sharp({ create: { width: 8, height: 8, channels: 3, background: '#804020' } });
      await image.png().toFile(join(folder, 'pets', place, 'a.png'));
    }
  });

  it('pushes a folder once, and is an artifact with a manifest that verifies', async () => {
    expect(await kindred('dataset', 'push', join(folder, 'pets'), '--name', 'pets')).toMatchObject({
      code: 0,
      result: { name: 'artifact:pets', splits: { train: 2, val: 1 }, reusedFiles: 0 },
    });
    expect(await kindred('dataset', 'push', join(folder, 'pets'), '--name', 'pets')).toMatchObject({
      code: 0,
      result: { uploadedFiles: 0, uploadedBytes: 0 },
    });
    expect(await kindred('artifacts', 'show', 'dataset', 'pets')).toMatchObject({
      code: 0,
      result: { config: { form: 'folder' }, metrics: { train_images: 2, val_images: 1 } },
    });
    expect(await kindred('artifacts', 'verify')).toMatchObject({ code: 0, result: { faults: [], withoutHash: 1 } });
  });

  it.each([
    [['drawn', '--name', 'x'], 'SOURCE'],
    [['cifar-10', '--name', 'X y'], 'name'],
    [['cifar-10', '--name', 'x', '--shard-mib', '0'], '--shard-mib'],
    [['/nowhere', '--name', 'x', '--data-dir', '/y'], '--data-dir'],
  ])('refuses %j, naming %s', async (words, field) => {
    expect(await kindred('dataset', 'push', ...words)).toMatchObject({
      code: 2,
      result: { code: 'INVALID_ARGUMENT', violations: [{ field }] },
    });
  });

  it('makes run ids of names of pushed data sets', () => {
    expect(newRunId(`artifact:my.pets-${'x'.repeat(50)}@0123456789abcdef`)).toMatch(
      /^simclr-my-pets-x+-\d{8}-\d{6}-\w{4}$/,
    );
  });
});
