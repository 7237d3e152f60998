// Content cut into parts of one size, as multipart uploads want them.
import type { ArtifactContent } from './artifact-store.js';

/** S3 takes 10,000 parts an object: after each 1,000 the parts grow by their first size. */
const partsOfOneSize = 1_000;

/** Memory of parts, used again: asking the system for each part anew costs as much as sending it, and it is given back late. */
export interface PartPool {
  /** Memory of this many bytes, with anything in it. */
  take(size: number): Buffer;
  /** Says that a part is needed no more; content that was not copied is left alone. */
  give(part: Buffer): void;
}

/** Makes an empty pool. It holds no more than were in use at one time. */
export function createPartPool(): PartPool {
  const own = new WeakSet<ArrayBufferLike>();
  const free: Buffer[] = [];
  return {
    take(size) {
      const used = free.pop();
      if (used?.length === size) return used;
      const made = Buffer.allocUnsafeSlow(size);
      own.add(made.buffer);
      return made;
    },
    give(part) {
      if (own.has(part.buffer)) free.push(Buffer.from(part.buffer));
    },
  };
}

/**
 * Yields the content in parts of `size` bytes (more after 1,000 parts, so that 10,000 hold 55,000 times `size`); the last
 * one is smaller, and absent where the content ends with a whole one. A part is memory of the pool.
 */
export async function* partsOf(
  content: Exclude<ArtifactContent, Uint8Array>,
  size: number,
  pool: PartPool,
): AsyncGenerator<Buffer, undefined> {
  let made = 0;
  let part: Buffer | null = null;
  let filled = 0;
  for await (const piece of content) {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    for (let taken = 0; taken < bytes.length;) {
      part ??= pool.take(sizeOfPart(made, size));
      const copied = bytes.copy(part, filled, taken);
      taken += copied;
      filled += copied;
      if (filled < part.length) continue;
      yield part;
      made++;
      part = null;
      filled = 0;
    }
  }
  if (part !== null) yield part.subarray(0, filled);
}

/** The same of bytes that are in memory, which are not copied. */
export function* partsOfBytes(bytes: Buffer, size: number): Generator<Buffer, undefined> {
  let made = 0;
  for (let taken = 0; taken < bytes.length;) {
    const wanted = sizeOfPart(made++, size);
    yield bytes.subarray(taken, taken + wanted);
    taken += wanted;
  }
}

function sizeOfPart(made: number, size: number): number {
  return size * (1 + Math.floor(made / partsOfOneSize));
}
