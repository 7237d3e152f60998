// A folder that files are written to for other tools: each whole or not at all, with its size and SHA-256.
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

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
  /** What was written so far. */
  readonly files: readonly ExportedFile[];
  /** Writes a file; one that is there is replaced once the new one is whole. */
  write(path: string, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<void>;
}

/** Makes the folder at `root`. */
export function createExportFolder(root: string): ExportFolder {
  const files: ExportedFile[] = [];
  return {
    path: root,
    files,
    async write(path, content) {
      const target = join(root, path);
      const part = `${target}.part`;
      const hash = createHash('sha256');
      let bytes = 0;
      await mkdir(dirname(target), { recursive: true });
      try {
        await pipeline(
          Readable.from(content instanceof Uint8Array ? [content] : content),
          async function* (parts: AsyncIterable<Uint8Array>) {
            for await (const piece of parts) {
              hash.update(piece);
              bytes += piece.length;
              yield piece;
            }
          },
          createWriteStream(part),
        );
        await rename(part, target);
      } catch (thrown) {
        await rm(part, { force: true });
        throw thrown;
      }
      files.push({ path, bytes, sha256: hash.digest('hex') });
    },
  };
}
