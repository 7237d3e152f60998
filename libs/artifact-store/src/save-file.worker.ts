// Thread that writes blocks to files.
import { writeSync } from 'node:fs';
import { workerTask } from '@kindred/workers';

/**
 * Bytes of one call of the kernel. For larger ones it looks for larger pieces of free memory, of which it has fewer at hand:
 * on a virtual machine whose host takes free memory back, calls of 1 MiB cost twice the processor time. By Node's pool of
 * threads, calls of 32 KiB cost more in turns than they save.
 */
const callBytes = 32 * 1024;

/** What to write, and where. */
export interface WriteRequest {
  readonly fd: number;
  readonly pieces: readonly Uint8Array<ArrayBuffer>[];
  readonly position: number;
}

/** Answers what could not be written, from the piece on that met an error; null: nothing is left. */
export const write = workerTask(
  ({ fd, pieces, position }: WriteRequest): Omit<WriteRequest, 'fd'> | null => {
    let at = position;
    for (const [index, piece] of pieces.entries()) {
      try {
        for (let from = 0; from < piece.length;) {
          from += writeSync(fd, piece, from, Math.min(callBytes, piece.length - from), at + from);
        }
      } catch {
        // Whoever asked tries it, and meets the error as it is.
        return { pieces: pieces.slice(index), position: at };
      }
      at += piece.length;
    }
    return null;
  },
  (rest) => rest?.pieces.map(({ buffer }) => buffer) ?? [],
);
