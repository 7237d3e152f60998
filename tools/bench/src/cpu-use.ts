// How busy the machine was with other things than this benchmark: a round that others disturbed says little.
import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Cores in use by others from which on a round counts as disturbed: a tenth of one. */
export const disturbingCores = 0.1;

/** Linux counts processor time in hundredths of a second for programs, whatever its own clock (USER_HZ). */
const ticksPerSecond = 100;
const settleMs = 500;

/** Processor time since the machine's start. */
export interface CpuSample {
  /** When it was taken, in ms of `performance.now()`. */
  readonly atMs: number;
  /** Seconds in which some core worked, or was taken by the machine's host. */
  readonly machineSeconds: number;
  /** Seconds of this process, its descendants, and those of them that have ended. */
  readonly ownSeconds: number;
}

/** Looks at the processor's time. Null where there is no /proc. */
export function sampleCpu(): CpuSample | null {
  try {
    const machine = parseMachine(readFileSync('/proc/stat', 'latin1'));
    return { atMs: performance.now(), machineSeconds: machine, ownSeconds: treeSeconds(readProcesses(), process.pid) };
  } catch {
    return null;
  }
}

/** Cores that others used between two samples, on average; null where that is not known. */
export function coresOfOthers(before: CpuSample | null, after: CpuSample | null): number | null {
  if (before === null || after === null) return null;
  const others = after.machineSeconds - before.machineSeconds - (after.ownSeconds - before.ownSeconds);
  return Math.max(0, others) / ((after.atMs - before.atMs) / 1000);
}

/** Waits until others have been quiet for half a second; gives up after `patienceMs`. */
export async function waitForQuiet(patienceMs: number, sample: () => CpuSample | null = sampleCpu): Promise<void> {
  const giveUp = performance.now() + patienceMs;
  let before = sample();
  while (before !== null && performance.now() < giveUp) {
    await sleep(settleMs);
    const after = sample();
    const others = coresOfOthers(before, after);
    if (others === null || others < disturbingCores) return;
    before = after;
  }
}

/** Busy seconds of all cores from the first line of /proc/stat (proc_stat(5)): all but idle, iowait and the guests' share. */
export function parseMachine(stat: string): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (stat.split('\n')[0] ?? '')
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq + steal) / ticksPerSecond;
}

/** One process of /proc. */
export interface ProcessTime {
  readonly pid: number;
  readonly parent: number;
  /** Its own seconds, and those of its children that have ended and were waited for. */
  readonly seconds: number;
}

/** Reads /proc/PID/stat (proc_pid_stat(5)). The program's name, in brackets, may itself hold spaces and brackets. */
export function parseProcess(stat: string): ProcessTime {
  const afterName = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [, parent = 0] = afterName;
  const ticks = afterName.slice(11, 15).reduce((sum, value) => sum + value, 0);
  return { pid: Number.parseInt(stat, 10), parent, seconds: ticks / ticksPerSecond };
}

/** Seconds of `root` and all that descend from it. */
export function treeSeconds(processes: readonly ProcessTime[], root: number): number {
  const tree = new Set([root]);
  // A parent may have a higher number than its child; go on until nobody joins.
  for (let size = 0; size !== tree.size;) {
    size = tree.size;
    for (const { pid, parent } of processes) if (tree.has(parent)) tree.add(pid);
  }
  return processes.reduce((sum, { pid, seconds }) => sum + (tree.has(pid) ? seconds : 0), 0);
}

function readProcesses(): ProcessTime[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        return [parseProcess(readFileSync(`/proc/${name}/stat`, 'latin1'))];
      } catch {
        // It has ended since the folder was read.
        return [];
      }
    });
}
