// What the figures were measured on; a figure without it says nothing.
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import { deviceNames } from './device-memory.js';

/** Facts about this machine and the software that was measured. */
export interface Machine {
  /** The processor's own name. */
  readonly cpu: string;
  /** Cores that this process may use. */
  readonly cores: number;
  readonly memoryGiB: number;
  /** GPUs with their drivers' versions; empty: none, or none that `nvidia-smi` tells of. */
  readonly gpus: readonly string[];
  /** Operating system and its release. */
  readonly system: string;
  /** Versions by name: node, and each library that did work. */
  readonly versions: Readonly<Record<string, string>>;
  /** When the run ended, ISO 8601, UTC. */
  readonly measuredAt: string;
}

/** Looks at this machine; `versions` are those of the libraries that did the work. */
export function describeMachine(versions: Readonly<Record<string, string>>): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    gpus: deviceNames(),
    system: `${type()} ${release()}`,
    versions: { node: process.versions.node, ...versions },
    measuredAt: new Date().toISOString(),
  };
}
