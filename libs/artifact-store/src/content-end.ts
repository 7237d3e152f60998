// The end of a put's content, also where the put failed before its first byte was asked for.
import { Readable } from 'node:stream';
import type { ArtifactContent } from './artifact-store.js';

/**
 * Ends content that nobody will read on: a stream would keep its file open otherwise. Content that was read to its end, or
 * whose reading has begun, has ended by itself: whoever leaves a loop over it ends it.
 */
export function endContent(content: ArtifactContent): void {
  if (content instanceof Readable) content.destroy();
}
