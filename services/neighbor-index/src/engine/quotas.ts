// What all collections together may take: vectors, memory, disk; asked for before it is taken.
import { KindredError } from '@kindred/errors';
import { availableMemory } from '@kindred/service-runtime';
import type { Limits } from '../limits.js';
import { metrics } from '../metrics.js';

/** What is taken. */
export interface Usage {
  readonly collections: number;
  readonly vectors: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
}

/** Memory that passing work holds. */
export interface MemoryHold {
  /** Asks for another size in place of this one. RESOURCE_EXHAUSTED, the size staying as it was. */
  resize(bytes: number): void;
  /** Gives it back. Idempotent. */
  release(): void;
}

/**
 * What refuses work: the limit for all collections and the machine; the machine alone, for what was allowed once; nothing, for
 * work that gives memory back in the end. All of it is counted, so that other work is refused.
 */
export type HoldBound = 'quota' | 'machine' | 'none';

/** The quotas of a service. */
export interface Quotas {
  /** Room for points that stay. RESOURCE_EXHAUSTED, naming the quota; the result gives it back. */
  reserve(vectors: number, bytes: number): () => void;
  /**
   * Memory for work that passes, e.g. `a merge of 'cats'`. RESOURCE_EXHAUSTED beyond its bound. @default bound 'quota'
   */
  hold(bytes: number, what: string, bound?: HoldBound): MemoryHold;
}

/** Bytes of the machine's memory that stay free. */
const headroomBytes = 256 * 1024 * 1024;
/** How long the machine's word on its memory holds, in milliseconds: it costs several files to read. */
const askedEveryMs = 100;

/** Makes the quotas. `usage`: what collections take now; `availableBytes`: what this process could still take. */
export function createQuotas(
  limits: Limits,
  usage: () => Usage,
  availableBytes: () => number = availableMemory,
): Quotas {
  const reserved = { vectors: 0, bytes: 0 };
  let held = 0;
  let asked = { at: -Infinity, bytes: 0, taken: 0 };

  const over = (quota: string, got: string, allowed: string, remedy: string): KindredError => {
    metrics.refused.inc({ quota });
    return new KindredError('RESOURCE_EXHAUSTED', `got ${got}; allowed: ${allowed}; ${remedy}`, {
      resource: { type: 'quota', name: quota },
    });
  };
  const overLimit = (quota: string, what: string, got: number, allowed: number, variable: string): KindredError =>
    over(
      quota,
      `${Math.round(got)} ${what} in all collections`,
      `${allowed} (KINDRED_NEIGHBOR_INDEX_${variable})`,
      'delete some, or raise it',
    );
  const checkMachine = (bytes: number): void => {
    const now = performance.now();
    if (now - asked.at > askedEveryMs) asked = { at: now, bytes: availableBytes(), taken: 0 };
    const left = asked.bytes - asked.taken;
    if (bytes > 0 && left - bytes < headroomBytes) {
      throw over(
        'machine',
        `${Math.round(bytes)} bytes more`,
        `${Math.max(0, left - headroomBytes)}, so that the machine keeps ${headroomBytes} free`,
        'wait for other work to end, or give it more memory',
      );
    }
    asked.taken += bytes;
  };
  const checkMemory = (bytes: number): void => {
    const all = usage().memoryBytes + reserved.bytes + held + bytes;
    if (bytes > 0 && all > limits.maxMemoryBytes)
      throw overLimit('memory', 'bytes of memory', all, limits.maxMemoryBytes, 'MAX_MEMORY_MIB');
    checkMachine(bytes);
  };

  return {
    reserve(vectors, bytes) {
      const used = usage();
      const allVectors = used.vectors + reserved.vectors + vectors;
      const allDisk = used.diskBytes + reserved.bytes + bytes;
      if (vectors > 0 && allVectors > limits.maxVectors)
        throw overLimit('vectors', 'vectors', allVectors, limits.maxVectors, 'MAX_VECTORS');
      if (allDisk > limits.maxDiskBytes)
        throw overLimit('disk', 'bytes on disk', allDisk, limits.maxDiskBytes, 'MAX_DISK_MIB');
      checkMemory(bytes);
      reserved.vectors += vectors;
      reserved.bytes += bytes;
      let open = true;
      return () => {
        if (!open) return;
        open = false;
        reserved.vectors -= vectors;
        reserved.bytes -= bytes;
      };
    },
    hold(bytes, what, bound = 'quota') {
      let own = 0;
      let open = true;
      const resize = (next: number): void => {
        const more = next - own;
        if (bound !== 'none' && more > 0) {
          try {
            if (bound === 'quota') checkMemory(more);
            else checkMachine(more);
          } catch (thrown) {
            if (!(thrown instanceof KindredError)) throw thrown;
            const { resource } = thrown;
            throw new KindredError('RESOURCE_EXHAUSTED', `${what}: ${thrown.message}`, {
              ...(resource === null ? {} : { resource }),
              cause: thrown,
            });
          }
        }
        held += more;
        own = next;
      };
      resize(bytes);
      return {
        resize(next) {
          if (open) resize(next);
        },
        release() {
          if (open) resize(0);
          open = false;
        },
      };
    },
  };
}
