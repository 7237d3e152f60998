import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openStore } from '@kindred/artifact-store';
import { goProgram, temporaryFolder } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { folderOfStore } from './artifact-place.js';
import { dataFolder, makeDataFolder } from './data-folder.js';
import { startMinio } from './minio-server.js';

const program = await goProgram('minio');

describe.skipIf(program === null)("a data folder's own MinIO", () => {
  const root = temporaryFolder();

  it('keeps artifacts from one start to the next, and its keys to itself', async () => {
    const folder = dataFolder(join(root, 'data'), 'minio');
    await makeDataFolder(folder);
    const said: string[] = [];
    const first = await startMinio(folder, (words) => said.push(words));
    expect(folderOfStore(first.store)).toBeNull();
    expect(statSync(join(folder.minio, 'credentials')).mode & 0o777).toBe(0o600);
    await (await openStore(first.store)).put('a/b', new TextEncoder().encode('kept'));
    await first.stop();
    await expect(openStore(first.store, { patienceMs: 0 })).rejects.toMatchObject({ code: 'UNAVAILABLE' });

    const second = await startMinio(folder, (words) => said.push(words));
    const store = await openStore(second.store);
    expect(new TextDecoder().decode(await store.get('a/b'))).toBe('kept');
    await second.stop();
    expect(said).toEqual([]);

    writeFileSync(join(folder.minio, 'credentials'), '[default]\n');
    await expect(startMinio(folder, () => {})).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  });
});

describe("a store's name", () => {
  it('is a folder, a bucket, or neither', () => {
    expect(dataFolder('/data').artifacts).toBe('/data/artifacts');
    expect(dataFolder('/data', '/elsewhere').artifacts).toBe('/elsewhere');
    expect(dataFolder('/data', 's3://bucket/prefix').artifacts).toBe('s3://bucket/prefix');
    expect(() => dataFolder('/data', 'ftp://x/y')).toThrow(/got scheme 'ftp'/);
  });
});
