// Fetches the official archive of a data set: download with resume, checksum, safe extraction, atomic rename.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { KindredError, invalidField, notFound, toKindredError } from '@kindred/errors';
import { extract } from 'tar';
import { discardPart, download } from './download.js';
import type { DownloadOptions } from './download.js';

interface Archive {
  readonly url: string;
  readonly file: string;
  readonly md5: string;
  /** The one folder that the archive holds. */
  readonly folder: string;
}

const archives: Readonly<Record<string, Archive>> = {
  'cifar-10': {
    url: 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz',
    file: 'cifar-10-binary.tar.gz',
    md5: 'c32a1d4ab5d03f1284b67883e8d87530',
    folder: 'cifar-10-batches-bin',
  },
  'cifar-20': {
    url: 'https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz',
    file: 'cifar-100-binary.tar.gz',
    md5: '03b5dce01913d631647c71ecec9e9cb8',
    folder: 'cifar-100-binary',
  },
  'stl-10': {
    url: 'http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz',
    file: 'stl10_binary.tar.gz',
    md5: '91f7769df0f17e558f3565bffb0c7dfb',
    folder: 'stl10_binary',
  },
};

/** What {@link fetchDataset} takes. */
export interface FetchDatasetOptions extends Omit<DownloadOptions, 'url' | 'path'> {
  /** Folder to put the data set's own folder into; made when missing. Give the same to {@link openDataset}. */
  readonly root: string;
  /** Another place of the same archive. @default the official one */
  readonly url?: string;
  /** Expected SHA-256 in hex, instead of the official MD5. */
  readonly sha256?: string;
  /** Expected MD5 in hex, instead of the official one. */
  readonly md5?: string;
}

/** Where a data set was put. */
export interface FetchedDataset {
  readonly folder: string;
  /** True when the folder was there already and nothing was downloaded. */
  readonly alreadyPresent: boolean;
}

/**
 * Downloads and unpacks a data set into `root`; done already, it returns at once. NOT_FOUND for a name without an archive,
 * DATA_LOSS when the checksum does not hold or the archive is broken (it is removed), UNAVAILABLE when the server does not
 * answer (what came is kept for the next call), RESOURCE_EXHAUSTED for a full disk.
 */
export async function fetchDataset(name: string, options: FetchDatasetOptions): Promise<FetchedDataset> {
  const archive = Object.hasOwn(archives, name) ? archives[name] : undefined;
  if (archive === undefined) throw notFound('dataset archive', name, Object.keys(archives));
  const { root, url = archive.url } = options;
  if (!URL.canParse(url) || !['http:', 'https:'].includes(new URL(url).protocol))
    throw invalidField('url', `got '${url}'; allowed: an http or https address`);
  const folder = join(root, archive.folder);
  if (await isFolder(folder)) return { folder, alreadyPresent: true };
  try {
    await mkdir(root, { recursive: true });
    const path = join(root, `${archive.file}.part`);
    await download({ ...options, url, path });
    await verify(path, url, archive, options);
    options.onProgress?.({ phase: 'extract', done: 0, total: 1 });
    await unpack(path, root, archive.folder, folder);
    options.onProgress?.({ phase: 'extract', done: 1, total: 1 });
    await discardPart(path);
  } catch (error) {
    throw toKindredError(error);
  }
  return { folder, alreadyPresent: false };
}

async function verify(
  path: string,
  url: string,
  archive: Archive,
  { sha256, md5 }: FetchDatasetOptions,
): Promise<void> {
  const checks: [string, string][] = [];
  if (sha256 !== undefined) checks.push(['sha256', sha256]);
  if (md5 !== undefined || sha256 === undefined) checks.push(['md5', md5 ?? archive.md5]);
  for (const [algorithm, expected] of checks) {
    const hash = createHash(algorithm);
    let bytes = 0;
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
      hash.update(chunk as Buffer);
      bytes += (chunk as Buffer).length;
    }
    const got = hash.digest('hex');
    if (got === expected.toLowerCase()) continue;
    await discardPart(path);
    throw new KindredError(
      'DATA_LOSS',
      `${url}: ${algorithm} of the ${bytes} bytes is ${got}; expected ${expected}. The download was removed; try again or give another url`,
      { resource: { type: 'file', name: url } },
    );
  }
}

/** Unpacks beside the target and renames: the folder is there in whole or not at all. Only plain files and folders are taken. */
async function unpack(path: string, root: string, inner: string, folder: string): Promise<void> {
  const staging = await mkdtemp(join(root, '.unpacking-'));
  try {
    const refused: string[] = [];
    await extract({
      file: path,
      cwd: staging,
      strict: true,
      filter: (entryPath, entry) => {
        const plain = 'type' in entry && ['File', 'OldFile', 'Directory', 'GNUDumpDir'].includes(entry.type);
        const within = !entryPath.startsWith('/') && !entryPath.split(/[\\/]/).includes('..');
        if (!plain || !within) refused.push(entryPath);
        return plain && within;
      },
    });
    if (refused.length > 0) throw new Error(`holds '${refused[0]}', which is no plain file below it`);
    if (!(await isFolder(join(staging, inner)))) throw new Error(`holds no folder ${inner}`);
    await rename(join(staging, inner), folder);
  } catch (cause) {
    if (toKindredError(cause).code === 'RESOURCE_EXHAUSTED') throw cause;
    await discardPart(path);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new KindredError(
      'DATA_LOSS',
      `${path}: cannot be unpacked (${reason}); expected a .tar.gz archive that holds the folder ${inner}. The download was removed; give another url`,
      { cause, resource: { type: 'file', name: path } },
    );
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() === true;
}
