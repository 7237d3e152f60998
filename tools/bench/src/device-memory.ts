// GPUs as the driver tells of them: their names, and what a process holds of their memory.
import { execFileSync } from 'node:child_process';

/** Names and drivers of the GPUs, e.g. `NVIDIA H100 80GB HBM3 (driver 580.159.04)`. */
export function deviceNames(): string[] {
  return (asked('--query-gpu=name,driver_version') ?? '')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replace(/, (?<version>[^,]*)$/, ' (driver $<version>)'));
}

/** In MiB; null where there is no `nvidia-smi`, or it does not know the process (in a container it may see other ids). */
export function deviceMemoryMiB(pid: number): number | null {
  const printed = asked('--query-compute-apps=pid,used_gpu_memory');
  return printed === null ? null : memoryOf(pid, printed);
}

/** The process's memory in what `nvidia-smi` printed: `pid, MiB` a line, one for each GPU. */
export function memoryOf(pid: number, printed: string): number | null {
  const own = printed
    .split('\n')
    .map((line) => line.split(',').map(Number))
    .filter(([id, used]) => id === pid && Number.isFinite(used));
  return own.length === 0 ? null : own.reduce((sum, [, used = 0]) => sum + used, 0);
}

/** What `nvidia-smi` says, one line an entry; null where it is missing or fails. */
function asked(query: string): string | null {
  try {
    const args = [query, '--format=csv,noheader,nounits'];
    return execFileSync('nvidia-smi', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return null;
  }
}
