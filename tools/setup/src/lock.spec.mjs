// One process at a time; a dead owner's lock is taken over.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withLock } from './lock.mjs';

describe('withLock', () => {
  let folder = '';
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'lock-'))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('lets one in at a time, the others after it', async () => {
    const path = join(folder, 'native');
    let inside = 0;
    let most = 0;
    const work = async () => {
      most = Math.max(most, ++inside);
      await sleep(10);
      inside--;
    };
    await Promise.all(Array.from({ length: 5 }, () => withLock(path, work, { pollMs: 2 })));
    expect(most).toBe(1);
    expect(existsSync(path)).toBe(false);
  });

  it('names the owner to whoever waits', async () => {
    const path = join(folder, 'native');
    const owners = new Set();
    const first = withLock(path, () => sleep(50));
    await withLock(path, async () => {}, { pollMs: 5, onWait: (owner) => owners.add(owner) });
    await first;
    expect([...owners]).toEqual([String(process.pid)]);
  });

  it('takes over from a process that is gone', async () => {
    const path = join(folder, 'native');
    const { pid } = spawnSync(process.execPath, ['-e', '0']);
    mkdirSync(path);
    writeFileSync(join(path, 'owner'), `${pid} ${hostname()}`);
    await expect(withLock(path, async () => 'in', { pollMs: 5 })).resolves.toBe('in');
  });

  it('is given back when the work fails', async () => {
    const path = join(folder, 'native');
    await expect(withLock(path, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(existsSync(path)).toBe(false);
  });
});
