// Memory that is asked for before it is used: what does not fit is refused while the machine still has some.
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { KindredError } from '@kindred/errors';
import { gauge } from './metrics.js';

/** How much may be reserved. */
export interface MemoryBudgetOptions {
  /** Names the budget in errors and metrics, e.g. `neighbor-index`. */
  readonly name: string;
  /** Bytes that may be reserved together. */
  readonly limitBytes: number;
  /** Bytes of the machine's memory that a reservation must leave free, others' use included. @default 256 MiB; 0: not asked */
  readonly headroomBytes?: number;
  /** Bytes that this process could still take. @default asks the kernel */
  readonly availableBytes?: () => number;
}

/** Memory that was granted. */
export interface MemoryReservation {
  readonly bytes: number;
  /** Asks for another size in place of this one. @throws KindredError RESOURCE_EXHAUSTED, the size staying as it was. */
  resize(bytes: number): void;
  /** Gives it back. Idempotent. */
  release(): void;
}

/** A sum of reservations under a limit. */
export interface MemoryBudget {
  readonly limitBytes: number;
  reservedBytes(): number;
  /**
   * Reserves `bytes` for `what`, e.g. `collection 'cats'`.
   * @throws KindredError RESOURCE_EXHAUSTED saying what was asked for, what is reserved and what is allowed.
   */
  reserve(bytes: number, what: string): MemoryReservation;
}

const defaultHeadroomBytes = 256 * 2 ** 20;
const reservedGauge = gauge('kindred_memory_reserved_bytes', 'Bytes reserved in a budget of this process.', ['budget']);
const limitGauge = gauge('kindred_memory_limit_bytes', 'Bytes that a budget of this process may reserve.', ['budget']);

/** Makes an empty budget. */
export function createMemoryBudget(options: MemoryBudgetOptions): MemoryBudget {
  const { name, limitBytes, headroomBytes = defaultHeadroomBytes, availableBytes = availableMemory } = options;
  let reserved = 0;
  limitGauge.set({ budget: name }, limitBytes);
  reservedGauge.set({ budget: name }, 0);

  const grow = (bytes: number, what: string): void => {
    const refuse = (problem: string): never => {
      throw new KindredError('RESOURCE_EXHAUSTED', `${what} needs ${bytes} bytes more: ${problem}`, {
        resource: { type: 'memory', name },
      });
    };
    if (reserved + bytes > limitBytes)
      refuse(`${reserved} of the ${limitBytes} bytes of ${name} are taken; remove something, or raise its limit`);
    if (bytes > 0 && headroomBytes > 0) {
      const available = availableBytes();
      if (available - bytes < headroomBytes)
        refuse(`the machine has ${available} bytes left, of which ${headroomBytes} stay free; give it more memory`);
    }
    reserved += bytes;
    reservedGauge.set({ budget: name }, reserved);
  };

  return {
    limitBytes,
    reservedBytes: () => reserved,
    reserve(bytes, what) {
      let held = checkedSize(bytes);
      let released = false;
      grow(held, what);
      return {
        get bytes() {
          return held;
        },
        resize(next) {
          if (released) throw new KindredError('FAILED_PRECONDITION', `the memory of ${what} was given back already`);
          grow(checkedSize(next) - held, what);
          held = next;
        },
        release() {
          if (released) return;
          released = true;
          grow(-held, what);
          held = 0;
        },
      };
    },
  };
}

/** Bytes that this process may use at most: its container's limit, else the machine's memory. */
export function memoryOfMachine(): number {
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}

/**
 * Bytes that this process could still take before the kernel swaps or kills: the lesser of the machine's and the container's.
 * Memory of caches counts as free.
 */
export function availableMemory(): number {
  const machine = /^MemAvailable:\s+(\d+) kB$/m.exec(textOf('/proc/meminfo'))?.[1];
  const machineBytes = machine === undefined ? totalmem() : Number(machine) * 1024;
  const limit = Number(textOf('/sys/fs/cgroup/memory.max'));
  const used = Number(textOf('/sys/fs/cgroup/memory.current'));
  const cached = Number(/^inactive_file (\d+)$/m.exec(textOf('/sys/fs/cgroup/memory.stat'))?.[1] ?? 0);
  return limit > 0 && Number.isFinite(limit) ? Math.min(machineBytes, limit - used + cached) : machineBytes;
}

function checkedSize(bytes: number): number {
  if (Number.isSafeInteger(bytes) && bytes >= 0) return bytes;
  throw new KindredError('INVALID_ARGUMENT', `got ${bytes} bytes; allowed: a whole number from 0`);
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
