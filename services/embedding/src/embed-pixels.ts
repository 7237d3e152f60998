// Embeds a batch of pixels that fit the network for a job, which waits for room in the queue instead of being refused.
import type { FeatureKind } from './embed-images.js';
import { enterPatiently } from './engine/enter-patiently.js';
import type { ServedModel } from './models/served-model.js';

/**
 * float32 [count, dimension] for `pixels`, uint8 [count, cropSize, cropSize, 3]. As one caller of the queue, so that others get their turns
 * beside a job.
 */
export async function embedPixels(
  served: ServedModel,
  pixels: Uint8Array,
  count: number,
  kind: FeatureKind,
  signal: AbortSignal,
): Promise<Float32Array> {
  const { facts } = served;
  const bytes = facts.cropSize * facts.cropSize * 3;
  const dimension = kind === 'backbone' ? facts.backboneDimension : facts.embeddingDimension;
  const vectors = new Float32Array(count * dimension);
  const caller = {};
  // A quarter of the queue at a time: room for the others stays.
  const room = Math.min(served.maxDepth, Math.floor(served.maxQueuedBytes / bytes));
  const chunk = Math.max(1, Math.min(count, Math.floor(room / 4)));
  for (let start = 0; start < count; start += chunk) {
    const images = Math.min(chunk, count - start);
    const place = await enterPatiently(served.queue, caller, images, images * bytes, signal);
    try {
      await Promise.all(
        Array.from({ length: images }, async (_, i) => {
          const at = start + i;
          const image = await place.submit(pixels.subarray(at * bytes, (at + 1) * bytes));
          vectors.set(image[kind], at * dimension);
        }),
      );
    } finally {
      place.leave();
    }
  }
  return vectors;
}
