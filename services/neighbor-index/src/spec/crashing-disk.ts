// Test support: a disk in memory that crashes before its n-th step, and then holds what a loss of power leaves.
//
// A file is what it was when it was last synced; a folder names what it named when it was last synced: a file that was created,
// renamed or removed since then may be there or not, whatever was synced of its content.
import type { Disk, DiskFile } from '../storage/disk.js';

/**
 * What a crash leaves of what was not synced. `keeps`: all (a process that ends). `loses`: nothing. `tears`: half of each file's new
 * bytes, and of each folder's changes the later half. `empties`: all names, none of the content.
 */
export type Loss = 'keeps' | 'loses' | 'tears' | 'empties';

/** Every loss. */
export const losses: readonly Loss[] = ['keeps', 'loses', 'tears', 'empties'];

/** The error of every step from the crash on. */
export class Crash extends Error {}

interface Content {
  /** As the process sees it. */
  now: Uint8Array;
  /** As it is on the disk. */
  synced: Uint8Array;
}

type Names = Map<string, Content>;

interface Folder {
  readonly now: Names;
  /** As a loss of power leaves it. */
  synced: Names;
  /** What was changed since then, oldest first. */
  changes: ((names: Names) => void)[];
  /** Whether it was removed, and its parent not synced since. */
  removed: boolean;
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

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));
const absent = (path: string): Error => Object.assign(new Error(`${path} is not there`), { code: 'ENOENT' });

/** Makes an empty disk, or one with these files, all synced. Making a folder lasts at once, as the disk of a machine does it. */
export function createCrashingDisk(initial: ReadonlyMap<string, Uint8Array> = new Map()): CrashingDisk {
  const folders = new Map<string, Folder>();
  let steps = 0;
  let crashAt = Infinity;
  const step = (torn?: () => void): void => {
    if (steps >= crashAt) throw new Crash('the machine has crashed');
    steps++;
    if (steps === crashAt) {
      torn?.();
      throw new Crash('the machine crashes');
    }
  };
  const make = (path: string): Folder => {
    const known = folders.get(path);
    if (known !== undefined && !known.removed) return known;
    if (path !== '') make(parentOf(path));
    for (const [at, { removed }] of folders) if (removed && at.startsWith(`${path}/`)) folders.delete(at);
    const made: Folder = { now: new Map(), synced: new Map(), changes: [], removed: false };
    folders.set(path, made);
    return made;
  };
  const folderOf = (path: string): Folder => {
    const folder = folders.get(parentOf(path));
    if (folder === undefined || folder.removed) throw absent(path);
    return folder;
  };
  const contentOf = (path: string): Content | undefined => {
    const folder = folders.get(parentOf(path));
    return folder === undefined || folder.removed ? undefined : folder.now.get(nameOf(path));
  };
  const change = (folder: Folder, make: (names: Names) => void): void => {
    make(folder.now);
    folder.changes.push(make);
  };
  const put = (path: string, bytes: Uint8Array): void => {
    const content = { now: bytes.slice(), synced: bytes.slice() };
    const folder = make(parentOf(path));
    folder.now.set(nameOf(path), content);
    folder.synced.set(nameOf(path), content);
  };
  const filesIn = (names: (folder: Folder) => Names | null): Map<string, Content> =>
    new Map(
      [...folders].flatMap(([path, folder]) =>
        [...(names(folder) ?? [])].map(([name, content]) => [path === '' ? name : `${path}/${name}`, content] as const),
      ),
    );
  const nowIn = (): Map<string, Content> => filesIn(({ now, removed }) => (removed ? null : now));
  const total = (): number => [...nowIn().values()].reduce((sum, { now }) => sum + now.length, 0);

  make('');
  for (const [path, bytes] of initial) put(path, bytes);

  const disk: CrashingDisk = {
    limit: Infinity,
    get steps() {
      return steps;
    },
    get files() {
      return new Map([...nowIn()].map(([path, { now }]) => [path, now]));
    },
    replace: put,
    crashBefore(count) {
      crashAt = steps + count;
    },
    afterCrash(loss) {
      const left = filesIn(({ now, synced, changes, removed }) => {
        if (loss === 'loses') return synced;
        if (loss !== 'tears') return removed ? null : now;
        const names = new Map(synced);
        for (const later of changes.slice(Math.floor(changes.length / 2))) later(names);
        return names;
      });
      const bytesOf = ({ now, synced }: Content): Uint8Array => {
        if (loss === 'keeps') return now;
        // A tear keeps some of what was not synced.
        return loss === 'tears'
          ? now.slice(0, synced.length + Math.ceil(Math.max(0, now.length - synced.length) / 2))
          : synced;
      };
      const after = createCrashingDisk(new Map([...left].map(([path, content]) => [path, bytesOf(content)])));
      for (const [path, { removed }] of folders) if (!removed || loss === 'loses') void after.makeFolder(path);
      return after;
    },
    async open(path, create): Promise<DiskFile> {
      const folder = folderOf(path);
      if (create) {
        step();
        const before = folder.now.get(nameOf(path));
        if (before === undefined) {
          const fresh = { now: new Uint8Array(0), synced: new Uint8Array(0) };
          change(folder, (names) => names.set(nameOf(path), fresh));
        } else before.now = new Uint8Array(0);
      }
      const content = contentOf(path);
      if (content === undefined) throw absent(path);
      const write = (part: Uint8Array, position: number): void => {
        const end = position + part.length;
        if (total() + Math.max(0, end - content.now.length) > disk.limit) {
          throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
        }
        const longer = new Uint8Array(Math.max(end, content.now.length));
        longer.set(content.now);
        longer.set(part, position);
        content.now = longer;
      };
      return {
        async write(parts, position) {
          for (const part of parts) {
            step(() => write(part.subarray(0, Math.floor(part.length / 2)), position));
            write(part, position);
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
      const content = contentOf(from);
      if (content === undefined) throw absent(from);
      if (parentOf(from) !== parentOf(to)) throw new Error('this disk renames within a folder only');
      change(folderOf(from), (names) => {
        names.set(nameOf(to), content);
        names.delete(nameOf(from));
      });
    },
    async remove(path) {
      step();
      if (contentOf(path) !== undefined) change(folderOf(path), (names) => names.delete(nameOf(path)));
    },
    async removeFolder(path) {
      step();
      for (const [at, folder] of folders) {
        if (folder.removed || (at !== path && !at.startsWith(`${path}/`))) continue;
        for (const name of [...folder.now.keys()]) change(folder, (names) => names.delete(name));
        folder.removed = true;
      }
    },
    async makeFolder(path) {
      step();
      make(path);
    },
    async list(path) {
      const folder = folders.get(path);
      if (folder === undefined || folder.removed) return [];
      const below = [...folders].filter(([at, { removed }]) => !removed && at !== '' && parentOf(at) === path);
      return [...folder.now.keys(), ...below.map(([at]) => nameOf(at))];
    },
    async syncFolder(path) {
      step();
      const folder = folders.get(path);
      if (folder === undefined || folder.removed) throw absent(path);
      folder.synced = new Map(folder.now);
      folder.changes = [];
      const gone = [...folders].filter(([at, { removed }]) => removed && parentOf(at) === path).map(([at]) => at);
      for (const at of [...folders.keys()])
        if (gone.some((one) => at === one || at.startsWith(`${one}/`))) folders.delete(at);
    },
    locate: () => null,
  };
  return disk;
}
