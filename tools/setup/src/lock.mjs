// A lock between processes of one machine: a folder that appears complete, with its owner's number inside.
import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 200;
/** An owner on another host (a cache on a network disk) cannot be asked; after this long it counts as gone. */
const FOREIGN_OWNER_MS = 60 * 60 * 1000;

/**
 * Runs `work` while no other process holds the lock. A lock whose owner died is taken over.
 * @template T
 * @param {string} path the lock's folder
 * @param {() => Promise<T>} work
 * @param {{ onWait?: (owner: string) => void, pollMs?: number }} [options]
 * @returns {Promise<T>}
 */
export async function withLock(path, work, { onWait, pollMs = POLL_MS } = {}) {
  mkdirSync(dirname(path), { recursive: true });
  while (!tryLock(path)) {
    const owner = readOwner(path);
    if (owner !== null && isGone(owner, path)) takeAway(path, owner);
    else {
      onWait?.(owner?.split(' ')[0] ?? 'unknown');
      await sleep(pollMs);
    }
  }
  const unlock = () => rmSync(path, { recursive: true, force: true });
  process.once('exit', unlock);
  try {
    return await work();
  } finally {
    process.removeListener('exit', unlock);
    unlock();
  }
}

/** @param {string} path */
function tryLock(path) {
  const own = `${path}.${randomUUID()}`;
  mkdirSync(own);
  writeFileSync(join(own, 'owner'), `${process.pid} ${hostname()}`);
  try {
    // Renaming onto a folder that holds something fails, so exactly one process succeeds.
    renameSync(own, path);
    return true;
  } catch {
    rmSync(own, { recursive: true, force: true });
    return false;
  }
}

/** @param {string} path */
function readOwner(path) {
  try {
    return readFileSync(join(path, 'owner'), 'utf8');
  } catch {
    return null;
  }
}

/**
 * @param {string} owner
 * @param {string} path
 */
function isGone(owner, path) {
  const [pid, host] = owner.split(' ');
  if (host !== hostname()) {
    const { mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? { mtimeMs: Date.now() };
    return Date.now() - mtimeMs > FOREIGN_OWNER_MS;
  }
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'ESRCH';
  }
}

/**
 * Removes a dead owner's lock; a lock that a third process took in the meantime is given back.
 * @param {string} path
 * @param {string} deadOwner
 */
function takeAway(path, deadOwner) {
  const aside = `${path}.${randomUUID()}`;
  try {
    renameSync(path, aside);
    if (readOwner(aside) !== deadOwner) return renameSync(aside, path);
    rmSync(aside, { recursive: true, force: true });
  } catch {
    // Another process was quicker; the caller tries again.
  }
}
