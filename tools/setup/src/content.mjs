// Names by content, and a cache in which a folder is either there complete or not at all.
import { createHash, randomUUID } from 'node:crypto';
import {
  createReadStream,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

const KEY_DIGITS = 16;

/**
 * A short name for everything that a build depends on.
 * @param {Record<string, string>} parts by what they are; their order does not matter
 * @param {readonly string[]} [files] whose content counts too (not their path)
 * @returns {string} 16 hexadecimal digits
 */
export function contentKey(parts, files = []) {
  const hash = createHash('sha256');
  for (const name of Object.keys(parts).sort()) hash.update(JSON.stringify([name, parts[name]]));
  for (const file of files) hash.update(createHash('sha256').update(readFileSync(file)).digest());
  return hash.digest('hex').slice(0, KEY_DIGITS);
}

/**
 * SHA-256 of a file of any size.
 * @param {string} file
 * @returns {Promise<string>} 64 hexadecimal digits
 */
export async function fileDigest(file) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/**
 * The cached folder of a key, built first where it is missing. What an interrupted build left is removed.
 * @param {string} folder its final path
 * @param {(temporary: string) => Promise<void>} build fills an empty folder beside the final one
 * @returns {Promise<'done' | 'cached'>}
 */
export async function cachedFolder(folder, build) {
  if (existsSync(folder)) return 'cached';
  const parent = dirname(folder);
  mkdirSync(parent, { recursive: true });
  for (const name of readdirSync(parent)) {
    if (name.startsWith('building-')) rmSync(join(parent, name), { recursive: true, force: true });
  }
  const temporary = join(parent, `building-${randomUUID()}`);
  mkdirSync(temporary);
  try {
    await build(temporary);
    renameSync(temporary, folder);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
  return 'done';
}

/**
 * Makes `path` a symbolic link to `target`, in one step for whoever is looking.
 * @param {string} path
 * @param {string} target
 * @returns {'done' | 'cached'}
 */
export function pointTo(path, target) {
  const entry = lstatSync(path, { throwIfNoEntry: false });
  if (entry?.isSymbolicLink() && readlinkSync(path) === target && existsSync(path)) return 'cached';
  mkdirSync(dirname(path), { recursive: true });
  if (entry?.isDirectory()) rmSync(path, { recursive: true });
  const fresh = `${path}.${randomUUID()}`;
  symlinkSync(target, fresh);
  renameSync(fresh, path);
  return 'done';
}
