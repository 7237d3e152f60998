import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@kindred/testing';
import { expect, it } from 'vitest';
import { lockDataFolder } from './data-folder-lock.js';

it.runIf(process.platform === 'linux')('gives a folder to one at a time, by whichever path', async () => {
  const folder = temporaryFolder('neighbor-index-lock');
  const [one, other, linked] = [join(folder, 'one'), join(folder, 'other'), join(folder, 'linked')];
  mkdirSync(one);
  mkdirSync(other);
  symlinkSync(one, linked);
  const lock = await lockDataFolder(one);
  await (await lockDataFolder(other)).release();
  for (const path of [one, linked]) {
    await expect(lockDataFolder(path)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining(path) as string,
    });
  }
  await lock.release();
  await (await lockDataFolder(linked)).release();
});
