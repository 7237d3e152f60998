// Test support: a disk in memory that crashes before its n-th step, and then holds what a loss of power leaves.
import type { Disk, DiskFile } from '../storage/disk.js';

/** What a crash does to what was not synced. */
export type Loss = 'keeps' | 'loses' | 'tears';

/** The error of every step from the crash on. */
export class Crash extends Error {}

interface Content {
  /** As the process sees it. */
  now: Uint8Array;
  /** As it is on the disk. */
  synced: Uint8Array;
}

/** A disk in memory. */
export interface CrashingDisk extends Disk {
  /** Steps that have changed something so far. */
  readonly steps: number;
  /** Crashes before step `step`, counted from now. */
  crashBefore(step: number): void;
  /** What is left after the crash, as a disk that does not crash. */
  afterCrash(loss: Loss): CrashingDisk;
  /** Refuses to grow beyond this many bytes in all (ENOSPC). @default none */
  limit: number;
  /** The files' contents, to be changed. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  replace(path: string, content: Uint8Array): void;
}

/** Makes an empty disk, or one with these files. Names are taken to be synced when their folder is; renames at once. */
export function createCrashingDisk(initial: ReadonlyMap<string, Uint8Array> = new Map()): CrashingDisk {
  const contents = new Map<string, Content>(
    [...initial].map(([path, bytes]) => [path, { now: bytes.slice(), synced: bytes.slice() }]),
  );
  /** Names that a loss of power takes away. */
  const unsyncedNames = new Set<string>();
  let steps = 0;
  let crashAt = Infinity;
  const step = (torn?: () => void): void => {
    if (steps >= crashAt) throw new Crash('the machine has crashed');
    steps++;
    if (steps <= crashAt && steps === crashAt) {
      torn?.();
      throw new Crash('the machine crashes');
    }
  };
  const folderOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));
  const total = (): number => [...contents.values()].reduce((sum, { now }) => sum + now.length, 0);
  const absent = (path: string): Error => Object.assign(new Error(`${path} is not there`), { code: 'ENOENT' });

  const disk: CrashingDisk = {
    limit: Infinity,
    get steps() {
      return steps;
    },
    get files() {
      return new Map([...contents].map(([path, { now }]) => [path, now]));
    },
    replace: (path, content) => void contents.set(path, { now: content.slice(), synced: content.slice() }),
    crashBefore(count) {
      crashAt = steps + count;
    },
    afterCrash(loss) {
      const left = new Map<string, Uint8Array>();
      for (const [path, { now, synced }] of contents) {
        if (loss !== 'keeps' && unsyncedNames.has(path)) continue;
        // A tear keeps some of what was not synced, and zeros where pages were not written yet.
        const torn = now.slice(0, synced.length + Math.ceil(Math.max(0, now.length - synced.length) / 2));
        left.set(path, loss === 'keeps' ? now : loss === 'loses' ? synced : torn);
      }
      return createCrashingDisk(left);
    },
    async open(path, create): Promise<DiskFile> {
      if (create) {
        step();
        if (!contents.has(path)) unsyncedNames.add(path);
        contents.set(path, { now: new Uint8Array(0), synced: contents.get(path)?.synced ?? new Uint8Array(0) });
      } else if (!contents.has(path)) throw absent(path);
      const content = contents.get(path)!;
      const put = (part: Uint8Array, position: number): void => {
        const end = position + part.length;
        if (total() + Math.max(0, end - content.now.length) > disk.limit) {
          throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
        }
        if (end > content.now.length) {
          const longer = new Uint8Array(end);
          longer.set(content.now);
          content.now = longer;
        } else content.now = content.now.slice();
        content.now.set(part, position);
      };
      return {
        async write(parts, position) {
          for (const part of parts) {
            step(() => put(part.subarray(0, Math.floor(part.length / 2)), position));
            put(part, position);
            position += part.length;
          }
        },
        async read(target, position) {
          const part = content.now.subarray(position, position + target.length);
          target.set(part);
          return part.length;
        },
        async sync() {
          step();
          content.synced = content.now;
        },
        async truncate(length) {
          step();
          content.now = content.now.slice(0, length);
        },
        size: async () => content.now.length,
        close: async () => {},
      };
    },
    async rename(from, to) {
      step();
      const content = contents.get(from);
      if (content === undefined) throw absent(from);
      contents.set(to, content);
      contents.delete(from);
      unsyncedNames.delete(from);
    },
    async remove(path) {
      step();
      contents.delete(path);
      unsyncedNames.delete(path);
    },
    async removeFolder(path) {
      step();
      for (const file of [...contents.keys()]) if (file.startsWith(`${path}/`)) contents.delete(file);
    },
    async makeFolder() {
      step();
    },
    list: async (path) => {
      const names = [...contents.keys()].flatMap((file) =>
        file.startsWith(`${path}/`) ? [file.slice(path.length + 1).split('/')[0]!] : [],
      );
      return [...new Set(names)];
    },
    async syncFolder(path) {
      step();
      for (const file of [...unsyncedNames]) if (folderOf(file) === path) unsyncedNames.delete(file);
    },
    locate: () => null,
  };
  return disk;
}
