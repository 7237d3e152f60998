// Holds a process to one core, for comparisons "in one thread": garbage collection and JIT then count, too.
import { execFileSync } from 'node:child_process';

/** Pins all threads of `pid` to `core`; true if that worked (Linux with `taskset`). */
export function pinToCore(pid: number, core: number): boolean {
  try {
    execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', String(core), String(pid)], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
