// Commands that work on the store itself, with the data folder's own MinIO.
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { goProgram, temporaryFolder } from '@kindred/testing';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { dataFolder } from './data-folder.js';
import { lockHolder } from './lock.js';
import { runWithStore } from './stored.js';

const program = await goProgram('minio');

describe.skipIf(program === null)("commands on a data folder's own MinIO", () => {
  it('run one server at a time, one command after the other', async () => {
    const data = join(temporaryFolder(), 'data');
    const { lockFile } = dataFolder(data, 'minio');
    const addresses: string[] = [];
    let active = 0;
    const command = (): Command =>
      new Command().option('--data <dir>', '', data).option('--store <name>', '', 'minio').option('--json', '', true);
    const run = (key: string): Promise<void> =>
      runWithStore(command(), async (store) => {
        expect(++active).toBe(1);
        expect((await lockHolder(lockFile))?.pid).toBe(process.pid);
        await store.put(key, new TextEncoder().encode(key));
        // Long enough for the other to come in if it could.
        await delay(1_000);
        addresses.push(store.place);
        active--;
      });
    await Promise.all([run('a'), run('b')]);
    expect(process.exitCode).toBe(0);
    process.exitCode = undefined;
    expect(addresses).toHaveLength(2);
    expect(await lockHolder(lockFile)).toBeNull();

    const keys: string[] = [];
    await runWithStore(command(), async (store) => {
      for await (const { key } of store.list('')) keys.push(key);
    });
    process.exitCode = undefined;
    expect(keys).toEqual(['a', 'b']);
  });
});
