// Lists the encoded images below a folder, in sorted order.
import { readFile, readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { isImageName } from './image-source.js';
import type { ImageCollection } from './image-source.js';
import { damagedFile } from './record-files.js';

/** Every image below `root`, sorted by path (code units, as Python sorts), so that the order is the same everywhere. */
export async function listFolder(root: string): Promise<ImageCollection> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const sources = entries
    .filter((entry) => !entry.isDirectory() && isImageName(entry.name))
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return { path, relativePath: relative(root, path).split(sep).join('/') };
    })
    .sort((a, b) => (a.relativePath < b.relativePath ? -1 : 1))
    .map((file) => ({ ...file, read: () => readWhole(file.path) }));
  return { sources, close: async () => {} };
}

async function readWhole(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw damagedFile(path, 'cannot be read', cause);
  }
}
