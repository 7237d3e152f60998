// Unfinished writes: files named by the process that writes them, so that what a dead one has left is known at once.
import { randomUUID } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

/** Unfinished writes of other machines older than this belong to nobody, in milliseconds. */
const abandonedAfterMs = 3_600_000;
const host = hostname().replace(/[^A-Za-z0-9.-]/g, '-');

/** A name for this process's next unfinished write: `<host>_<pid>_<uuid>`. */
export function unfinishedName(): string {
  return `${host}_${process.pid}_${randomUUID()}`;
}

/**
 * Removes from `folder` what nobody will finish: files of dead processes of this host (in Kubernetes: of this pod), and
 * of other hosts once an hour old. Answers how many there were.
 */
export async function removeAbandoned(folder: string, olderThanMs = 0): Promise<number> {
  let removed = 0;
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => null);
    if (found === null || Date.now() - found.mtimeMs < olderThanMs || !isAbandoned(name, found.mtimeMs)) continue;
    await rm(path, { force: true });
    removed++;
  }
  return removed;
}

/** Whether nobody will finish the write of this name, last changed at `modifyTimeMs`. */
export function isAbandoned(name: string, modifyTimeMs: number, foreignMs: number = abandonedAfterMs): boolean {
  if (Date.now() - modifyTimeMs > abandonedAfterMs) return true;
  const [writer, pid] = name.split('_');
  if (writer !== host) return Date.now() - modifyTimeMs > foreignMs;
  // A restarted container gives its processes the same ids again.
  if (Number(pid) === process.pid) return modifyTimeMs < performance.timeOrigin;
  return !isAlive(Number(pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EPERM';
  }
}
