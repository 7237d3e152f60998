// The service's own metrics; those of every RPC come with the service's door.
import { countBuckets, counter, gauge, histogram } from '@kindred/service-runtime';

const prefix = 'kindred_embedding';

/** The metrics. */
export const metrics = {
  queueImages: gauge(`${prefix}_queue_images`, 'Images in the queue of a model, those being decoded included.', [
    'model',
  ] as const),
  batchImages: histogram(`${prefix}_batch_images`, 'Images of a batch.', ['model'] as const, countBuckets),
  queueSeconds: histogram(`${prefix}_queue_seconds`, 'Time of an image from being ready to being taken into a batch.', [
    'model',
  ] as const),
  preprocessSeconds: histogram(
    `${prefix}_preprocess_seconds`,
    'Time in which the images of a request were decoded and transformed.',
    ['model'] as const,
  ),
  inferenceSeconds: histogram(`${prefix}_inference_seconds`, 'Time of a batch in the network.', ['model'] as const),
  images: counter(`${prefix}_images_total`, 'Images answered.', ['model'] as const),
  droppedImages: counter(
    `${prefix}_dropped_images_total`,
    'Images dropped from a queue because their caller left or its deadline passed.',
    ['model'] as const,
  ),
  errors: counter(
    `${prefix}_errors_total`,
    'Requests and single images that were not answered, by reason (the gRPC code).',
    ['scope', 'reason'] as const,
  ),
  cache: counter(`${prefix}_cache_total`, 'Images looked up in the cache of vectors, by result.', ['result'] as const),
  modelLoads: counter(`${prefix}_model_loads_total`, 'Models loaded, by result.', ['result'] as const),
};

/** Sets who is asked at each scrape for the bytes that loaded models are reckoned to take. */
export function watchModelBytes(read: () => number): void {
  gauge(`${prefix}_model_bytes`, 'Bytes of memory that loaded models are reckoned to take.', [], read);
}
