// The largest resident memory of this process.
import { readFileSync } from 'node:fs';

/** VmHWM of /proc/self/status in MiB; null where there is none. (The ru_maxrss of getrusage begins with the parent's size.) */
export function peakMemoryMiB(): number | null {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
    return kilobytes === undefined ? null : Number(kilobytes) / 1024;
  } catch {
    return null;
  }
}
