// The artifact store of one machine: a folder. Written beside, synced, then renamed into place.
import { createHash } from 'node:crypto';
import { createReadStream, type BigIntStats } from 'node:fs';
import { link, mkdir, open, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { KindredError, notFound, toKindredError } from '@kindred/errors';
import type {
  ArtifactContent,
  ArtifactDescription,
  ArtifactStore,
  ListOptions,
  PutOptions,
  PutResult,
  ReadOptions,
} from './artifact-store.js';
import { changed, exists } from './conflicts.js';
import { endContent } from './content-end.js';
import { checkHash, checkedPut, checkedRead, isRange, sha256Of, verified } from './content-hash.js';
import { checkedKey } from './key.js';
import { withKeyLock } from './key-lock.js';
import { removeAbandoned, unfinishedName } from './unfinished.js';

/** Folder of unfinished writes; what a crash leaves there is removed at the next start. */
const unfinished = '.unfinished';
/** Bytes of one part of a stream. */
const readSize = 1 << 18;
/** What the system says when there is no room: device full, quota reached, largest file size reached. */
const noSpaceCodes: readonly unknown[] = ['ENOSPC', 'EDQUOT', 'EFBIG'];

/**
 * Opens (and makes) the store in the folder `root`, which may be relative to the working directory. Several processes may
 * share one folder. It keeps no hashes, and cannot hold an object `a` beside an object `a/b`.
 * Whatever finds no space is RESOURCE_EXHAUSTED with the folder as its resource.
 */
export async function createFolderStore(root: string): Promise<ArtifactStore> {
  // Absolute, without `.` and `..`: keys are what files' paths have behind it.
  const folder = resolve(root);
  const aside = join(folder, unfinished);
  await mkdir(aside, { recursive: true });
  await removeAbandoned(aside);
  const pathOf = (key: string): string => join(folder, ...checkedKey(key).split('/'));
  const read = async function* (key: string, options: ReadOptions): AsyncGenerator<Uint8Array> {
    const { sha256, offset = 0, length = Infinity } = checkedRead(options);
    const path = pathOf(key);
    if (length === 0) return;
    try {
      const parts = createReadStream(path, {
        start: offset,
        end: offset + length - 1,
        highWaterMark: readSize,
      }) as AsyncIterable<Uint8Array>;
      yield* sha256 === undefined ? parts : verified(parts, key, sha256);
    } catch (thrown) {
      throw absent(thrown, key);
    }
  };

  return {
    place: folder,
    async put(key, content, given) {
      const temporary = join(aside, unfinishedName());
      try {
        const options = checkedPut(given);
        const path = pathOf(key);
        const result = await writeSynced(temporary, content);
        if (options.sha256 !== undefined) checkHash(key, result.sha256, options.sha256);
        await makeFolder(dirname(path));
        if (options.ifMatch === undefined) await commit(temporary, path, key, options);
        else await replace(aside, temporary, path, key, options.ifMatch);
        await syncFolder(dirname(path));
        return result;
      } catch (thrown) {
        throw noSpaceCodes.includes((thrown as NodeJS.ErrnoException).code)
          ? noSpace(folder, key, thrown)
          : toKindredError(thrown);
      } finally {
        endContent(content);
        await rm(temporary, { force: true });
      }
    },
    async get(key, options) {
      const checked = checkedRead(options);
      if (isRange(checked)) return buffer(read(key, checked));
      const bytes = await readFile(pathOf(key)).catch((thrown: unknown) => {
        throw absent(thrown, key);
      });
      if (checked.sha256 !== undefined) checkHash(key, sha256Of(bytes), checked.sha256);
      return bytes;
    },
    read: (key, options = {}) => read(key, options),
    describe: (key) => describeFile(pathOf(key), key),
    list: (prefix, options = {}) => listFolder(folder, prefix, options),
    async delete(key, { ifMatch } = {}) {
      const path = pathOf(key);
      if (ifMatch === undefined) return rm(path, { force: true });
      await withKeyLock(aside, key, async () => {
        const found = await describeFile(path, key);
        if (found !== null && found.etag !== ifMatch) throw changed(key);
        await rm(path, { force: true });
      });
    },
    removeUnfinished: (olderThanMs, options) => removeAbandoned(aside, olderThanMs, options),
  };
}

async function writeSynced(path: string, content: ArtifactContent): Promise<PutResult> {
  const file = await open(path, 'wx');
  try {
    const hash = createHash('sha256');
    let size = 0;
    const parts = content instanceof Uint8Array ? [content] : content;
    for await (const part of parts) {
      hash.update(part);
      size += part.byteLength;
      await writeAll(file, part);
    }
    await file.sync();
    return { sha256: hash.digest('hex'), size, etag: etagOf(await file.stat({ bigint: true })) };
  } finally {
    await file.close();
  }
}

/** `write` may write less than it is given, when the disk runs full. */
async function writeAll(file: Awaited<ReturnType<typeof open>>, part: Uint8Array): Promise<void> {
  for (let offset = 0; offset < part.byteLength;) {
    const { bytesWritten } = await file.write(part, offset, part.byteLength - offset);
    offset += bytesWritten;
  }
}

async function commit(temporary: string, path: string, key: string, options: PutOptions): Promise<void> {
  if (options.ifAbsent !== true) return rename(temporary, path);
  try {
    // A hard link, unlike a rename, refuses to replace.
    await link(temporary, path);
  } catch (thrown) {
    throw (thrown as NodeJS.ErrnoException).code === 'EEXIST' ? exists(key) : thrown;
  }
}

/** Replaces the object that has the etag; whoever else replaces it by its etag waits until it is done. */
function replace(aside: string, temporary: string, path: string, key: string, etag: string): Promise<void> {
  return withKeyLock(aside, key, async () => {
    if ((await describeFile(path, key))?.etag !== etag) throw changed(key);
    await rename(temporary, path);
  });
}

async function describeFile(path: string, key: string): Promise<ArtifactDescription | null> {
  const found = await stat(path, { bigint: true }).catch(() => null);
  if (found === null || !found.isFile()) return null;
  return { key, size: Number(found.size), modifyTime: found.mtime, etag: etagOf(found), sha256: null };
}

/** Each put makes a new file, so that inode and time differ; renaming and linking change neither. */
function etagOf({ ino, mtimeNs, size }: BigIntStats): string {
  return [ino, mtimeNs, size].map((part) => part.toString(36)).join('-');
}

/** Makes a folder with those above it; each new one survives a power cut only once the one above it is synced. */
async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

/** A rename survives a power cut only once its folder is synced, too. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function* listFolder(
  folder: string,
  prefix: string,
  { startAfter = '', limit = Infinity }: ListOptions,
): AsyncGenerator<ArtifactDescription> {
  // Only the prefix's own folder is read: a store may hold a great many objects beside it.
  const start = prefix.includes('/') ? checkedKey(prefix.slice(0, prefix.lastIndexOf('/'))) : '';
  const names = await readdir(join(folder, start), { recursive: true, withFileTypes: true }).catch(
    (thrown: unknown) => {
      if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw toKindredError(thrown);
    },
  );
  const keys = names
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length).replace(/^\/+/, ''))
    .filter((key) => key > startAfter && key.startsWith(prefix) && !key.startsWith(`${unfinished}/`))
    .sort();
  let left = limit;
  for (const key of keys) {
    if (left <= 0) return;
    const found = await describeFile(join(folder, key), key);
    if (found === null) continue;
    left--;
    yield found;
  }
}

function noSpace(folder: string, key: string, cause: unknown): KindredError {
  return new KindredError(
    'RESOURCE_EXHAUSTED',
    `no space left in ${folder} for artifact '${key}' (${(cause as NodeJS.ErrnoException).code}); ` +
      'free some on its device, or raise its quota, and try again',
    { resource: { type: 'folder', name: folder }, cause },
  );
}

function absent(thrown: unknown, key: string): unknown {
  const code = (thrown as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'EISDIR' ? notFound('artifact', key) : toKindredError(thrown);
}
