// The artifact store of one machine: a folder. Written beside, synced, then renamed into place.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { link, mkdir, open, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { KindredError, notFound, toKindredError } from '@kindred/errors';
import type { ArtifactContent, ArtifactDescription, ArtifactStore, PutOptions, PutResult } from './artifact-store.js';
import { checkedKey } from './key.js';
import { removeAbandoned, unfinishedName } from './unfinished.js';

/** Folder of unfinished writes; what a crash leaves there is removed at the next start. */
const unfinished = '.unfinished';
/** What the system says when there is no room: device full, quota reached, largest file size reached. */
const noSpaceCodes: readonly unknown[] = ['ENOSPC', 'EDQUOT', 'EFBIG'];

/**
 * Opens (and makes) the store in `folder`. Several processes may share one folder.
 * Whatever finds no space is RESOURCE_EXHAUSTED with the folder as its resource.
 */
export async function createFolderStore(folder: string): Promise<ArtifactStore> {
  await mkdir(join(folder, unfinished), { recursive: true });
  await removeAbandoned(join(folder, unfinished));
  const pathOf = (key: string): string => join(folder, ...checkedKey(key).split('/'));

  return {
    async put(key, content, options = {}) {
      const path = pathOf(key);
      const temporary = join(folder, unfinished, unfinishedName());
      try {
        const result = await writeSynced(temporary, content);
        await makeFolder(dirname(path));
        await commit(temporary, path, key, options);
        await syncFolder(dirname(path));
        return result;
      } catch (thrown) {
        throw noSpaceCodes.includes((thrown as NodeJS.ErrnoException).code)
          ? noSpace(folder, key, thrown)
          : toKindredError(thrown);
      } finally {
        await rm(temporary, { force: true });
      }
    },
    async get(key, sha256) {
      const bytes = await readFile(pathOf(key)).catch((thrown: unknown) => {
        throw absent(thrown, key);
      });
      if (sha256 !== undefined) checkHash(bytes, sha256, key);
      return bytes;
    },
    async *read(key) {
      try {
        yield* createReadStream(pathOf(key)) as AsyncIterable<Uint8Array>;
      } catch (thrown) {
        throw absent(thrown, key);
      }
    },
    async describe(key) {
      const found = await stat(pathOf(key)).catch(() => null);
      if (found === null || !found.isFile()) return null;
      return { key, size: found.size, modifyTime: found.mtime };
    },
    list: (prefix) => listFolder(folder, prefix),
    async delete(key) {
      await rm(pathOf(key), { force: true });
    },
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
    return { sha256: hash.digest('hex'), size };
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
    if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown;
    throw new KindredError('ALREADY_EXISTS', `artifact '${key}' exists already`, {
      resource: { type: 'artifact', name: key },
    });
  }
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

async function* listFolder(folder: string, prefix: string): AsyncGenerator<ArtifactDescription> {
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
    .filter((key) => !key.startsWith(`${unfinished}/`) && key.startsWith(prefix))
    .sort();
  for (const key of keys) {
    const found = await stat(join(folder, key)).catch(() => null);
    if (found !== null) yield { key, size: found.size, modifyTime: found.mtime };
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

function checkHash(bytes: Uint8Array, expected: string, key: string): void {
  const got = createHash('sha256').update(bytes).digest('hex');
  if (got === expected) return;
  throw new KindredError(
    'DATA_LOSS',
    `artifact '${key}' is damaged: its SHA-256 is ${got}, it was written as ${expected}`,
    {
      resource: { type: 'artifact', name: key },
    },
  );
}

function absent(thrown: unknown, key: string): unknown {
  const code = (thrown as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'EISDIR' ? notFound('artifact', key) : toKindredError(thrown);
}
