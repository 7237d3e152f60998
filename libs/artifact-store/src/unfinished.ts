// Unfinished writes: files named by the process that writes them, so that what a dead one has left is known at once.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { UnfinishedOptions } from './artifact-store.js';

/** Unfinished writes that nothing is known of but their age belong to nobody after this, in milliseconds. */
const abandonedAfterMs = 3_600_000;
const host = hostname().replace(/[^A-Za-z0-9.-]/g, '-');
const ownLife = lifeOf(process.pid);

/** A name for this process's next unfinished write: `<host>_<pid>_<uuid>_<life>`. */
export function unfinishedName(): string {
  return [host, process.pid, randomUUID(), ...(ownLife === null ? [] : [ownLife])].join('_');
}

/**
 * Removes from `folder` what nobody will finish: files of dead processes of this host (in Kubernetes: of this pod), and
 * of other hosts once an hour old. Answers how many there were.
 */
export async function removeAbandoned(
  folder: string,
  olderThanMs = 0,
  { dryRun = false }: UnfinishedOptions = {},
): Promise<number> {
  let removed = 0;
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => null);
    if (found === null || Date.now() - found.mtimeMs < olderThanMs || !isAbandoned(name, found.mtimeMs)) continue;
    if (!dryRun) await rm(path, { force: true });
    removed++;
  }
  return removed;
}

/** Whether nobody will finish the write of this name, last changed at `modifyTimeMs`. */
export function isAbandoned(name: string, modifyTimeMs: number): boolean {
  const fate = fateOf(name, modifyTimeMs);
  return fate === 'unknown' ? Date.now() - modifyTimeMs > abandonedAfterMs : fate === 'dead';
}

/**
 * Whether the process that has made this name lives; `unknown` for one of another host. A process id alone says little,
 * since it is given again: where the system has `/proc`, the name holds which boot and which start it was.
 */
export function fateOf(name: string, modifyTimeMs: number): 'alive' | 'dead' | 'unknown' {
  const [writer, pid, , life] = name.split('_');
  if (writer !== host) return 'unknown';
  if (life !== undefined) return life === lifeOf(Number(pid)) ? 'alive' : 'dead';
  // A restarted container gives its processes the same ids again.
  if (Number(pid) === process.pid) return modifyTimeMs < performance.timeOrigin ? 'dead' : 'unknown';
  return isAlive(Number(pid)) ? 'unknown' : 'dead';
}

/**
 * What no other process of this machine ever has: the boot, and the clock ticks from it to the process's start
 * (proc_pid_stat(5), field 22). Null: it is not there, has ended, or the system has no such files.
 */
function lifeOf(pid: number): string | null {
  try {
    const [boot = ''] = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').split('-');
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The program's name, in brackets, may itself hold spaces and brackets.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state = ''] = fields;
    return 'ZX'.includes(state) ? null : `${boot}-${fields[19] ?? ''}`;
  } catch {
    return null;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EPERM';
  }
}
