// Content cut into parts of one size, as multipart uploads want them.
import type { ArtifactContent } from './artifact-store.js';

/** S3 takes 10,000 parts an object: after each 1,000 the parts grow by their first size. */
const partsOfOneSize = 1_000;

/**
 * Yields the content in parts of `size` bytes (more after 1,000 parts, so that 10,000 hold 55,000 times `size`); the last
 * one is smaller, and absent where the content ends with a whole one. Content in large pieces is not copied.
 */
export async function* partsOf(
  content: Exclude<ArtifactContent, Uint8Array>,
  size: number,
): AsyncGenerator<Buffer, undefined> {
  let wanted = size;
  let made = 0;
  let part: Buffer | null = null;
  let filled = 0;
  for await (const piece of content) {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    for (let taken = 0; taken < bytes.length;) {
      const left = bytes.length - taken;
      if (part === null && left >= wanted) {
        yield bytes.subarray(taken, taken + wanted);
        taken += wanted;
      } else {
        part ??= Buffer.allocUnsafeSlow(wanted);
        const copied = bytes.copy(part, filled, taken);
        taken += copied;
        filled += copied;
        if (filled < wanted) continue;
        yield part;
        part = null;
        filled = 0;
      }
      made++;
      wanted = size * (1 + Math.floor(made / partsOfOneSize));
    }
  }
  if (part !== null) yield part.subarray(0, filled);
}
