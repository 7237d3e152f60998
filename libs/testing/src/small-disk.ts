// A disk that tests can fill: a tmpfs where mounting is allowed, else a limit on the size of files (RLIMIT_FSIZE).
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Largest file that a process may write where the disk cannot be filled, in bytes: a record, but no state. */
const smallFile = 16_384;

/** A folder on a small disk. */
export interface SmallDisk {
  readonly folder: string;
  /** `mount`: a file system of its own; `limit`: an ordinary folder, filling it stops processes from writing. */
  readonly kind: 'mount' | 'limit';
  remove(): void;
}

/** Makes a small disk of `size` bytes at `folder`. Removed by the caller. */
export function smallDisk(folder: string, size: number): SmallDisk {
  mkdirSync(folder, { recursive: true });
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder]).status === 0;
  return {
    folder,
    kind: mounted ? 'mount' : 'limit',
    remove() {
      if (mounted) run('umount', ['--lazy', folder]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/**
 * Fills the disk to its last byte until `remove()`. Where it is an ordinary folder, forbids the processes `pids` to write
 * more than a few thousand bytes to a file instead. @throws Error where neither can be done: a test must not pass untried.
 */
export function fillDisk(disk: SmallDisk, pids: readonly number[] = [process.pid]): { remove(): void } {
  if (disk.kind === 'limit') {
    for (const pid of pids) run('prlimit', ['--pid', String(pid), `--fsize=${smallFile}:`]);
    return { remove: () => pids.forEach((pid) => spawnSync('prlimit', ['--pid', String(pid), '--fsize=unlimited:'])) };
  }
  const filler = join(disk.folder, 'filler');
  const file = openSync(filler, 'w');
  const part = new Uint8Array(4096).fill(1);
  try {
    for (;;) writeSync(file, part);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOSPC') throw thrown;
  } finally {
    closeSync(file);
  }
  return { remove: () => rmSync(filler, { force: true }) };
}

function run(program: string, words: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${words.join(' ')}: ${error?.message ?? stderr}`);
}
