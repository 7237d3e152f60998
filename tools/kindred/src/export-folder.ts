// A folder that files are written to for other tools: each whole or not at all, with its size and SHA-256.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { writeBlocks } from '@kindred/artifact-store';
import { KindredError } from '@kindred/errors';

/** A file of the folder. */
export interface ExportedFile {
  /** Below the folder. */
  readonly path: string;
  readonly bytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

/** A folder under way. */
export interface ExportFolder {
  readonly path: string;
  /** What is in place so far. */
  readonly files: readonly ExportedFile[];
  /** Writes a file beside its place. */
  write(path: string, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<void>;
  /**
   * Puts what was written in its place. @throws KindredError ALREADY_EXISTS, with nothing put, when another file is there
   * and may not be replaced; one of the same bytes may always.
   */
  commit(): Promise<void>;
  /** Removes what was written but not put in its place. */
  discard(): Promise<void>;
  /** Removes a file that is there; absent is no error. */
  remove(path: string): Promise<void>;
}

/** Makes the folder at `root`, in which files may be replaced or not. */
export function createExportFolder(root: string, mayReplace: boolean): ExportFolder {
  const files: ExportedFile[] = [];
  let written: ExportedFile[] = [];
  const partOf = (path: string): string => `${join(root, path)}.part`;
  return {
    path: root,
    files,
    async write(path, content) {
      const part = partOf(path);
      const hash = createHash('sha256');
      await mkdir(dirname(part), { recursive: true });
      const pieces = async function* (): AsyncGenerator<Uint8Array> {
        for await (const piece of content instanceof Uint8Array ? [content] : content) {
          hash.update(piece);
          yield piece;
        }
      };
      const bytes = await writeBlocks(part, pieces());
      written.push({ path, bytes, sha256: hash.digest('hex') });
    },
    async commit() {
      for (const { path, sha256 } of mayReplace ? [] : written) {
        const there = await sha256Of(join(root, path));
        if (there !== null && there !== sha256) throw taken(join(root, path));
      }
      for (const file of written) {
        await rename(partOf(file.path), join(root, file.path));
        files.push(file);
      }
      written = [];
    },
    async discard() {
      for (const { path } of written) await rm(partOf(path), { force: true });
      written = [];
    },
    remove: (path) => rm(join(root, path), { force: true }),
  };
}

/** Null where there is no file. */
async function sha256Of(path: string): Promise<string | null> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(path), hash);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw thrown;
  }
  return hash.digest('hex');
}

function taken(path: string): KindredError {
  return new KindredError(
    'ALREADY_EXISTS',
    `${path} is there already and is not this run's; name another folder by --to, or replace what is there by --replace`,
    { resource: { type: 'file', name: path } },
  );
}
