// Cores that this process may use: in a container the machine's are not its own.
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';

/** Where the kernel says it; tests name folders of their own. */
export interface CoresOptions {
  /** @default `/sys/fs/cgroup` */
  readonly cgroups?: string;
  /** @default `/proc/self/cgroup` */
  readonly own?: string;
  /** Cores that the scheduler may use for this process. @default `os.availableParallelism()` */
  readonly cores?: number;
}

/**
 * Cores that threads of this process may keep busy: those of the machine, or fewer where a limit of its control group (version 1 or 2) or of
 * a group around that gives it less time; a part of a core counts as one. Node itself knows affinity, and no such limit.
 */
export function coresOfMachine(options: CoresOptions = {}): number {
  const { cgroups = '/sys/fs/cgroup', own = '/proc/self/cgroup', cores = availableParallelism() } = options;
  const groups = [...textOf(own).matchAll(/^\d+:([^:\n]*):(.*)$/gm)];
  const pathOf = (controller: string): string =>
    groups.find(([, controllers = '']) => controllers.split(',').includes(controller))?.[2] ?? '/';
  const quotas = [
    ...upwards(pathOf('')).map((path) => quotaOf(textOf(join(cgroups, path, 'cpu.max')))),
    ...upwards(pathOf('cpu')).map((path) => {
      const part = (name: string): string => textOf(join(cgroups, 'cpu', path, `cpu.cfs_${name}_us`)).trim();
      return quotaOf(`${part('quota')} ${part('period')}`);
    }),
  ];
  return Math.max(1, Math.ceil(Math.min(cores, ...quotas)));
}

/** A group and those around it. A container sees its own as `/`, and a path of the host's that it may not find below. */
function upwards(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [path] : [path, ...upwards(parent)];
}

/** Cores of `QUOTA PERIOD` in microseconds; `max`, -1 and what cannot be read are no limit. */
function quotaOf(text: string): number {
  const [quota = NaN, period = NaN] = text.trim().split(/\s+/).map(Number);
  return quota > 0 && period > 0 ? quota / period : Infinity;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
