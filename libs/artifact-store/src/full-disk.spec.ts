import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fillDisk, smallDisk, temporaryFolder } from '@kindred/testing';
import { afterAll, describe, expect, it } from 'vitest';
import { createFolderStore } from './index.js';

const bytes = (size: number): Uint8Array => new Uint8Array(size).fill(7);

describe('a folder store on a full disk', () => {
  const folder = temporaryFolder();
  const disk = smallDisk(join(folder, 'disk'), 1 << 20);
  afterAll(() => disk.remove());

  it('keeps the old object, names the folder, and goes on once there is space', async () => {
    const store = await createFolderStore(disk.folder);
    const { sha256 } = await store.put('runs/r1/state', bytes(100_000));
    const filled = fillDisk(disk);
    await expect(store.put('runs/r1/state', bytes(200_000))).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      resource: { type: 'folder', name: disk.folder },
    });
    await expect(store.put('other/key', bytes(200_000))).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect((await store.get('runs/r1/state', sha256)).length).toBe(100_000);
    expect(readdirSync(join(disk.folder, '.unfinished'))).toEqual([]);
    filled.remove();
    await store.put('runs/r1/state', bytes(200_000));
    expect((await store.get('runs/r1/state')).length).toBe(200_000);
  });
});

describe('unfinished writes', () => {
  const root = temporaryFolder();

  it('go when the process that wrote them is dead, and stay while it may live', async () => {
    const unfinished = join(root, '.unfinished');
    mkdirSync(unfinished);
    const host = hostname().replace(/[^A-Za-z0-9.-]/g, '-');
    const dead = spawnSync(process.execPath, ['--version']).pid;
    const long = new Date(Date.now() - 2 * 3_600_000);
    const files = {
      dead: `${host}_${dead}_a`,
      alive: `${host}_${process.ppid}_b`,
      elsewhere: `other-host_${dead}_c`,
      elsewhereLongAgo: `other-host_${dead}_d`,
      sameIdBefore: `${host}_${process.pid}_e`,
      sameIdNow: `${host}_${process.pid}_f`,
    };
    for (const name of Object.values(files)) writeFileSync(join(unfinished, name), 'part');
    utimesSync(join(unfinished, files.elsewhereLongAgo), long, long);
    const beforeStart = new Date(performance.timeOrigin - 60_000);
    utimesSync(join(unfinished, files.sameIdBefore), beforeStart, beforeStart);
    await createFolderStore(root);
    expect(readdirSync(unfinished).sort()).toEqual([files.alive, files.elsewhere, files.sameIdNow].sort());
  });
});
