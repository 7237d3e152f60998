// One process at a time runs the servers of a data folder: a lock file with its pid, and a way to see that it is dead.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { KindredError } from '@kindred/errors';

/** Who holds a lock. */
export interface LockHolder {
  readonly pid: number;
  /** When the kernel started that process, in its own ticks: a pid is used again, the pair is not. Null: not known. */
  readonly startTicks: string | null;
  /** The command line, for people. */
  readonly command: string;
}

/** A lock that is held. */
export interface Lock {
  release(): Promise<void>;
}

/**
 * Takes the lock at `path`. A lock whose holder is dead is taken over.
 * @throws KindredError FAILED_PRECONDITION naming the holder.
 */
export async function acquireLock(path: string, command: string): Promise<Lock> {
  const holder: LockHolder = { pid: process.pid, startTicks: startTicksOf(process.pid), command };
  const content = JSON.stringify(holder);
  for (let attempt = 0; attempt < 10; attempt++) {
    if (await writeNew(path, content)) return { release: () => release(path, content) };
    const found = await readLock(path);
    if (found !== null && isAlive(found)) {
      throw new KindredError('FAILED_PRECONDITION', heldBy(path, found), { resource: { type: 'file', name: path } });
    }
    await removeStale(path);
  }
  throw new KindredError('ABORTED', `several processes want ${path} at once; try again`);
}

/** The living holder of the lock at `path`; null if it is free. */
export async function lockHolder(path: string): Promise<LockHolder | null> {
  const found = await readLock(path);
  return found !== null && isAlive(found) ? found : null;
}

function heldBy(path: string, { pid, command }: LockHolder): string {
  return (
    `this data folder's servers are run by process ${pid} (${command}) already\n` +
    `use them as they are, stop that process or wait for its end, or choose another folder with --data (lock: ${path})`
  );
}

async function writeNew(path: string, content: string): Promise<boolean> {
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, content);
  try {
    // A link appears with its whole content and refuses to replace.
    await link(temporary, path);
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw thrown;
  } finally {
    await rm(temporary, { force: true });
  }
}

async function readLock(path: string): Promise<LockHolder | null> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as LockHolder;
  } catch {
    return null;
  }
}

/** Moves a dead lock away; puts it back if a living process took it over in the meantime. */
async function removeStale(path: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  const moved = await readLock(aside);
  if (moved !== null && isAlive(moved)) await link(aside, path).catch(() => {});
  await rm(aside, { force: true });
}

async function release(path: string, content: string): Promise<void> {
  const now = await readFile(path, 'utf8').catch(() => null);
  if (now === content) await rm(path, { force: true });
}

function isAlive({ pid, startTicks }: LockHolder): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const now = startTicksOf(pid);
  return startTicks === null || now === null || now === startTicks;
}

/** Field 22 of /proc/PID/stat, counted behind the command name, which may hold anything; null elsewhere than Linux. */
function startTicksOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
