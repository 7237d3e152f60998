// A lock of one key of a folder store, between processes: a hard link, which only one of them can make.
import { createHash } from 'node:crypto';
import { link, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isAbandoned, unfinishedName } from './unfinished.js';

/** The work under a lock takes milliseconds; the lock of a process on another host that has died in it goes after this. */
const foreignLockMs = 60_000;
const pollMs = 5;

/** Runs `work` while no other process holds the key's lock in `folder`; takes over the lock of a dead one. */
export async function withKeyLock<T>(folder: string, key: string, work: () => Promise<T>): Promise<T> {
  const owner = unfinishedName();
  const own = join(folder, owner);
  const lock = join(folder, `lock-${createHash('sha256').update(key).digest('hex')}`);
  await writeFile(own, owner);
  try {
    while (!(await tryLink(own, lock))) {
      await removeIfAbandoned(lock, folder);
      await delay(pollMs);
    }
    try {
      return await work();
    } finally {
      await rm(lock, { force: true });
    }
  } finally {
    await rm(own, { force: true });
  }
}

async function tryLink(own: string, lock: string): Promise<boolean> {
  try {
    await link(own, lock);
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw thrown;
  }
}

async function removeIfAbandoned(lock: string, folder: string): Promise<void> {
  const found = await stat(lock).catch(() => null);
  const owner = await readFile(lock, 'utf8').catch(() => null);
  if (found === null || owner === null || !isAbandoned(owner, found.mtimeMs, foreignLockMs)) return;
  // Moved aside first: it may by now be the lock of a third process, which then gets it back.
  const aside = join(folder, unfinishedName());
  await rename(lock, aside).catch(() => {});
  const moved = await readFile(aside, 'utf8').catch(() => null);
  if (moved !== null && moved !== owner) await link(aside, lock).catch(() => {});
  await rm(aside, { force: true });
}
