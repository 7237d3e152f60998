import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@kindred/testing';
import { describe, expect, it } from 'vitest';
import { acquireLock, lockHolder } from './lock.js';

describe('lock', () => {
  it('is held by one process at a time and says by which', async () => {
    const path = join(temporaryFolder(), 'lock');
    const lock = await acquireLock(path, 'first');
    await expect(acquireLock(path, 'second')).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining(`process ${process.pid} (first)`),
    });
    expect((await lockHolder(path))?.command).toBe('first');
    await lock.release();
    expect(await lockHolder(path)).toBeNull();
    await (await acquireLock(path, 'third')).release();
  });

  it('is taken over from a process that is dead', async () => {
    const path = join(temporaryFolder(), 'lock');
    const dead = spawn(process.execPath, ['-e', '']);
    await once(dead, 'exit');
    writeFileSync(path, JSON.stringify({ pid: dead.pid, startTicks: '1', command: 'old' }));
    expect(await lockHolder(path)).toBeNull();
    await (await acquireLock(path, 'new')).release();
  });

  it('is taken over when another process has the pid of the dead one', async () => {
    const path = join(temporaryFolder(), 'lock');
    const lock = await acquireLock(path, 'old');
    const content = JSON.parse(readFileSync(path, 'utf8')) as { startTicks: string };
    await lock.release();
    writeFileSync(path, JSON.stringify({ ...content, startTicks: String(Number(content.startTicks) - 1) }));
    await (await acquireLock(path, 'new')).release();
  });

  it('is taken over when its file was cut short', async () => {
    const path = join(temporaryFolder(), 'lock');
    writeFileSync(path, '{"pid": 12');
    await (await acquireLock(path, 'new')).release();
  });

  it('goes to one of many that want it at once', async () => {
    const path = join(temporaryFolder(), 'lock');
    writeFileSync(path, '');
    const results = await Promise.allSettled(Array.from({ length: 8 }, (_, i) => acquireLock(path, `process ${i}`)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });
});
