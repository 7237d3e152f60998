// What a run asks a cluster for, from the command line.
import { invalidField } from '@kindred/errors';
import type { RunResources } from '@kindred/protocol/training';

/** As the options of a command are read. */
export interface ResourceOptions {
  /** `NAME=COUNT`, e.g. `nvidia.com/gpu=1`, or `none`. */
  readonly accelerator?: string;
  /** Cores, fractions allowed. */
  readonly cpu?: string;
  /** Gibibytes, fractions allowed. */
  readonly memoryGib?: string;
  readonly priorityClass?: string;
}

/** The flags, by which a command refuses them where a run keeps what it began with. */
export const resourceFlags = ['--accelerator', '--cpu', '--memory-gib', '--priority-class'] as const;

/**
 * The resources; undefined where no option names any. Whether a name is one, and how many may be asked for, the trainer says.
 * @throws KindredError INVALID_ARGUMENT naming the option
 */
export function askedResources(options: ResourceOptions): RunResources | undefined {
  const { accelerator, cpu, memoryGib, priorityClass } = options;
  if ([accelerator, cpu, memoryGib, priorityClass].every((option) => option === undefined)) return undefined;
  const counted = /^([^=]+)=(\d{1,3})$/.exec(accelerator ?? '') ?? [];
  const [, name = '', count = '0'] = accelerator === 'none' ? ['', 'none'] : counted;
  if (accelerator !== undefined && name === '') {
    throw invalidField('--accelerator', `got '${accelerator}'; allowed: NAME=COUNT, e.g. nvidia.com/gpu=1, or none`);
  }
  return {
    accelerator: name,
    acceleratorCount: Number(count),
    cpuMillis: Math.round(amount('--cpu', cpu, 'cores', 1024) * 1000),
    memoryBytes: BigInt(Math.round(amount('--memory-gib', memoryGib, 'gibibytes', 65_536) * 2 ** 30)),
    priorityClass: priorityClass ?? '',
  };
}

/** A number above 0; 0 where the option is absent. */
function amount(flag: string, text: string | undefined, unit: string, most: number): number {
  if (text === undefined) return 0;
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (value > 0 && value <= most) return value;
  throw invalidField(flag, `got '${text}'; allowed: ${unit} as a number above 0, at most ${most}`);
}
