// A lock of one key of a folder store, between processes: a hard link, which only one of them can make.
import { createHash } from 'node:crypto';
import { link, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fateOf, unfinishedName } from './unfinished.js';

/** How often a process says that it lives, to those of other hosts: it touches its file, of which its lock is a link. */
const touchMs = 10_000;
/** The lock of a process of which nothing else is known goes when it was not touched for this long. */
const silentMs = 6 * touchMs;
const pollMs = 5;

/**
 * Runs `work` while no other process holds the key's lock in `folder`; takes over the lock of a dead one. On one host a
 * process is dead when the system says so: at once, and however slow it is never before. Of another host's it is only
 * seen that it has been silent for a minute; one that was stopped for so long, and then goes on, may work beside its
 * successor, so that a folder of several hosts wants hosts that do not sleep.
 */
export async function withKeyLock<T>(folder: string, key: string, work: () => Promise<T>): Promise<T> {
  const owner = unfinishedName();
  const own = join(folder, owner);
  const lock = join(folder, `lock-${createHash('sha256').update(key).digest('hex')}`);
  await writeFile(own, owner);
  const touching = setInterval(() => void utimes(own, new Date(), new Date()).catch(() => {}), touchMs);
  try {
    const isSilent = createSilenceWatch(silentMs);
    while (!(await tryLink(own, lock))) {
      await removeDead(own, lock, isSilent);
      await delay(pollMs);
    }
    try {
      return await work();
    } finally {
      // It may have been taken over from this process as if it were dead.
      if ((await ownerOf(lock)) === owner) await rm(lock, { force: true });
    }
  } finally {
    clearInterval(touching);
    await rm(own, { force: true });
  }
}

/**
 * Tells whether an owner has been silent: asked about it again and again, the time of its last touch has stayed the same
 * for `silenceMs` of this process's own clock. The clocks of hosts are never compared.
 */
export function createSilenceWatch(
  silenceMs: number,
  now: () => number = () => performance.now(),
): (owner: string, touchedMs: number) => boolean {
  const heard = new Map<string, { readonly touchedMs: number; readonly sinceMs: number }>();
  return (owner, touchedMs) => {
    const last = heard.get(owner);
    if (last?.touchedMs === touchedMs) return now() - last.sinceMs > silenceMs;
    heard.set(owner, { touchedMs, sinceMs: now() });
    return false;
  };
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

/**
 * Removes the lock of a dead owner, and of it alone. Whoever removes it holds the one guard that is named by that owner:
 * the lock is then still the dead one's, or it was removed before and is left alone.
 */
async function removeDead(own: string, lock: string, isSilent: ReturnType<typeof createSilenceWatch>): Promise<void> {
  const found = await stat(lock).catch(() => null);
  const owner = await ownerOf(lock);
  if (found === null || owner === null) return;
  const fate = fateOf(owner, found.mtimeMs);
  const isDead = fate === 'unknown' ? isSilent(owner, found.mtimeMs) : fate === 'dead';
  if (!isDead) return;
  const guard = `${lock}-${createHash('sha256').update(owner).digest('hex').slice(0, 16)}`;
  if (!(await tryLink(own, guard))) {
    // Its holder may have died over it.
    await removeDead(own, guard, isSilent);
    return;
  }
  try {
    if ((await ownerOf(lock)) === owner) await rm(lock, { force: true });
  } finally {
    await rm(guard, { force: true });
  }
}

async function ownerOf(lock: string): Promise<string | null> {
  return readFile(lock, 'utf8').catch(() => null);
}
