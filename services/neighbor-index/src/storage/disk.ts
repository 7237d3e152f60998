// The file layer: all that the storage does to files, so that tests can end or fill the disk at every single step.
import { open, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/** An open file. Positions and lengths in bytes. */
export interface DiskFile {
  /** Writes all parts one after another from `position` on; on an error some of them may be there. */
  write(parts: readonly Uint8Array[], position: number): Promise<void>;
  /** Fills `target` from `position` on; returns the bytes read, fewer at the end of the file. */
  read(target: Uint8Array, position: number): Promise<number>;
  /** Returns once the content is safe from a loss of power. */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/** Files by path, relative to one folder; `/` separates. */
export interface Disk {
  /** Opens for reading and writing. `create`: makes it or empties it. ENOENT otherwise where there is none. */
  open(path: string, create: boolean): Promise<DiskFile>;
  /** Replaces `to`. */
  rename(from: string, to: string): Promise<void>;
  /** No effect where there is none. */
  remove(path: string): Promise<void>;
  /** Removes a folder with all that is in it. */
  removeFolder(path: string): Promise<void>;
  /** Makes it, with those above it; they are safe from a loss of power. */
  makeFolder(path: string): Promise<void>;
  /** Names in a folder; none where there is no such folder. */
  list(path: string): Promise<string[]>;
  /** Makes what was created, renamed and removed in a folder safe from a loss of power. */
  syncFolder(path: string): Promise<void>;
  /** Where a path is in the file system, for what writes files itself; null: nowhere. */
  locate(path: string): string | null;
}

const mostBytesPerRead = 1 << 30;
const bytesPerPiece = 8 * 1024 * 1024;

/** The disk below `folder`. */
export function createNodeDisk(folder: string): Disk {
  const at = (path: string): string => join(folder, path);
  return {
    async open(path, create) {
      const handle = await open(at(path), create ? 'w+' : 'r+');
      return {
        async write(parts, position) {
          for (let rest = parts.filter((part) => part.byteLength > 0); rest.length > 0;) {
            const { bytesWritten } = await handle.writev(rest.slice(0, 512) as Uint8Array[], position);
            position += bytesWritten;
            rest = without(rest, bytesWritten);
          }
        },
        async read(target, position) {
          let done = 0;
          while (done < target.byteLength) {
            const length = Math.min(mostBytesPerRead, target.byteLength - done);
            const { bytesRead } = await handle.read(target, done, length, position + done);
            if (bytesRead === 0) break;
            done += bytesRead;
          }
          return done;
        },
        sync: () => handle.datasync(),
        truncate: (length) => handle.truncate(length),
        size: async () => (await handle.stat()).size,
        close: () => handle.close(),
      };
    },
    rename: (from, to) => rename(at(from), at(to)),
    remove: (path) => rm(at(path), { force: true }),
    removeFolder: (path) => rm(at(path), { recursive: true, force: true }),
    async makeFolder(path) {
      await makeFolderDurably(at(path));
      // Whoever made it before may have ended before this.
      await syncFolder(dirname(at(path)));
    },
    async list(path) {
      return readdir(at(path)).catch((thrown: unknown) => {
        if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw thrown;
      });
    },
    syncFolder: (path) => syncFolder(at(path)),
    locate: at,
  };
}

/** Makes a folder, with those above it, and syncs the folders that name what was made. */
export async function makeFolderDurably(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let made = resolve(path); ; made = dirname(made)) {
    await syncFolder(dirname(made));
    if (made === resolve(first)) return;
  }
}

/** Reads a file whole. ENOENT where there is none. */
export async function readWhole(disk: Disk, path: string): Promise<Uint8Array<ArrayBuffer>> {
  const file = await disk.open(path, false);
  try {
    const bytes = new Uint8Array(await file.size());
    const length = await file.read(bytes, 0);
    return bytes.subarray(0, length);
  } finally {
    await file.close();
  }
}

/** Reads a file piece by piece, each of 8 MiB at most. ENOENT where there is none. */
export async function* readPieces(disk: Disk, path: string): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const file = await disk.open(path, false);
  try {
    const size = await file.size();
    for (let at = 0; at < size;) {
      const piece = new Uint8Array(Math.min(bytesPerPiece, size - at));
      const length = await file.read(piece, at);
      if (length === 0) return;
      yield piece.subarray(0, length);
      at += length;
    }
  } finally {
    await file.close();
  }
}

/**
 * Writes a file beside its place, syncs it and renames it: readers see the old or the new, also after a crash. `renamed` is
 * called once the new one is in its place; an error after that leaves unknown which of the two a loss of power leaves.
 */
export async function replaceWhole(
  disk: Disk,
  path: string,
  parts: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  renamed: () => void = () => {},
): Promise<void> {
  const beside = `${path}.new`;
  try {
    const file = await disk.open(beside, true);
    try {
      let at = 0;
      for await (const part of parts) {
        await file.write([part], at);
        at += part.byteLength;
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await disk.rename(beside, path);
  } catch (thrown) {
    await disk.remove(beside).catch(() => {});
    throw thrown;
  }
  renamed();
  await disk.syncFolder(folderOf(path));
}

/** The folder of a path; '' for the disk's own. */
export function folderOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
}

function without(parts: readonly Uint8Array[], written: number): Uint8Array[] {
  let left = written;
  const rest: Uint8Array[] = [];
  for (const part of parts) {
    if (left >= part.byteLength) {
      left -= part.byteLength;
      continue;
    }
    rest.push(left === 0 ? part : part.subarray(left));
    left = 0;
  }
  return rest;
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
