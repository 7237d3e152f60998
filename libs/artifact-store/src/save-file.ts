// Content to files: in large blocks, one of which is written while the next one comes.
import { open, rename, rm, type FileHandle } from 'node:fs/promises';

/** What is written at once. Smaller blocks cost more turns of the thread pool; larger ones are slower on ext4. */
const blockBytes = 2 ** 20;
/**
 * So much is sent to the disk while more comes. Where it all were left to the end, a rename over another file would wait
 * for it (ext4's `auto_da_alloc`): 0.25 s for 512 MiB in place of 0.1 s.
 */
const syncBytes = 64 * 2 ** 20;

/**
 * Writes content to a file that is there whole or not at all: beside its place, as `PATH.part`, then renamed over what
 * is there. Not synced: a crash of the machine may lose it. Answers the bytes written.
 * @throws whatever `content` or the file system throws.
 */
export async function saveFile(path: string, content: AsyncIterable<Uint8Array>): Promise<number> {
  const part = `${path}.part`;
  const bytes = await writeBlocks(part, content);
  await rename(part, path);
  return bytes;
}

/**
 * Writes content to a file, in place of what is there; a file that cannot be written to its end is removed. The memory
 * of a part must stay as it is until the content has ended. Answers and errors as of {@link saveFile}.
 */
export async function writeBlocks(path: string, content: AsyncIterable<Uint8Array>): Promise<number> {
  const file = await open(path, 'w');
  try {
    return await writeTo(file, content);
  } catch (thrown) {
    await rm(path, { force: true });
    throw thrown;
  } finally {
    await file.close();
  }
}

async function writeTo(file: FileHandle, content: AsyncIterable<Uint8Array>): Promise<number> {
  // Errors of both are met where they are next waited for.
  let writing: Promise<unknown> = Promise.resolve();
  let syncing: Promise<unknown> = Promise.resolve();
  // A slow disk is left to it; an error leaves this true, and comes at the end.
  let isSyncing = false;
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  let total = 0;
  let synced = 0;
  const flush = async (): Promise<void> => {
    await writing;
    if (total - synced >= syncBytes && !isSyncing) {
      isSyncing = true;
      syncing = file.datasync().then(() => (isSyncing = false));
      syncing.catch(() => {});
      synced = total;
    }
    writing = writeAll(file, waiting);
    writing.catch(() => {});
    total += bytes;
    [waiting, bytes] = [[], 0];
  };
  try {
    for await (const part of content) {
      waiting.push(part);
      bytes += part.length;
      if (bytes >= blockBytes) await flush();
    }
    if (bytes > 0) await flush();
    await Promise.all([writing, syncing]);
    return total;
  } finally {
    // The file is closed next, which must not happen under a write.
    await Promise.allSettled([writing, syncing]);
  }
}

/** Writes all parts, also where the system takes them bit by bit; a full disk then is its next error. */
async function writeAll(file: FileHandle, parts: readonly Uint8Array[]): Promise<void> {
  let rest = parts.filter(({ length }) => length > 0);
  while (rest.length > 0) {
    let { bytesWritten: taken } = await file.writev(rest);
    rest = rest.flatMap((part) => {
      const left = part.subarray(Math.min(taken, part.length));
      taken -= part.length - left.length;
      return left.length > 0 ? [left] : [];
    });
  }
}
