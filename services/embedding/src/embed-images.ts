// What both doors do with a request: admit it, prepare its images, have them embedded with those of others, gather the vectors.
import { KindredError, isKindredError, toKindredError, type FieldViolation } from '@kindred/errors';
import type { EmbeddedImage, Caller } from './engine/batch-queue.js';
import { checkBatch, imageCount, type ImageBatch, type ImageLimits } from './images/image-batch.js';
import type { ImagePreparation } from './images/image-preparation.js';
import { metrics } from './metrics.js';
import type { ServedModel } from './models/served-model.js';
import type { ServedModels } from './models/served-models.js';
import { vectorKey, type VectorCache } from './vector-cache.js';

/** Which vector of the network. */
export type FeatureKind = 'embedding' | 'backbone';

/** A request. */
export interface EmbedImagesRequest {
  /** `name`, `name@version` or `name@alias`. */
  readonly model: string;
  readonly images: ImageBatch;
  readonly kind: FeatureKind;
  /** Whether one image that cannot be used fails the request. */
  readonly allOrNothing: boolean;
  /** Whose turn it takes in the queue. */
  readonly caller: Caller;
  readonly signal: AbortSignal;
}

/** Why one image has no vector. */
export interface ImageFault {
  readonly index: number;
  readonly error: KindredError;
}

/** The vectors of a request. */
export interface EmbedImagesResult {
  /** float32 [count, dimension]; NaN in the rows of `faults`. */
  readonly vectors: Float32Array;
  readonly count: number;
  readonly dimension: number;
  readonly model: string;
  readonly version: string;
  readonly faults: readonly ImageFault[];
  /** In milliseconds, of the slowest image. */
  readonly queueMs: number;
  readonly preprocessMs: number;
  readonly inferenceMs: number;
}

/** Embeds a request's images. Its errors are those of EmbeddingService.Embed. */
export type EmbedImages = (request: EmbedImagesRequest) => Promise<EmbedImagesResult>;

/** What it works with. */
export interface EmbedImagesParts {
  readonly models: ServedModels;
  readonly preparation: ImagePreparation;
  readonly limits: ImageLimits;
  readonly cache: VectorCache;
}

/** An image's vector, from the network or the cache, or why there is none. */
type Outcome = EmbeddedImage | Float32Array | KindredError;

/** Makes the function. */
export function createEmbedImages({ models, preparation, limits, cache }: EmbedImagesParts): EmbedImages {
  return async (request) => {
    try {
      checkBatch(request.images, limits);
      const { served, release } = await models.acquire(request.model);
      try {
        request.signal.throwIfAborted();
        return await embedWith(served, request, preparation, cache);
      } finally {
        release();
      }
    } catch (thrown) {
      metrics.errors.inc({ scope: 'request', reason: toKindredError(thrown).code });
      throw thrown;
    }
  };
}

async function embedWith(
  served: ServedModel,
  request: EmbedImagesRequest,
  preparation: ImagePreparation,
  cache: VectorCache,
): Promise<EmbedImagesResult> {
  const { images, kind, signal, caller, allOrNothing } = request;
  const { model, facts, queue } = served;
  const count = imageCount(images);
  const outcomes: (Outcome | undefined)[] = Array.from({ length: count });
  const keys = cacheKeys(request, served, cache);
  keys.forEach((key, i) => {
    const known = cache.get(key);
    metrics.cache.inc({ result: known === null ? 'miss' : 'hit' });
    if (known !== null) outcomes[i] = known;
  });
  const open = outcomes.flatMap((outcome, i) => (outcome === undefined ? [i] : []));
  let preprocessMs = 0;
  if (open.length > 0) {
    // Room in the queue comes first: a request that is refused has cost nothing yet.
    const place = queue.enter(caller, open.length, signal);
    try {
      const begin = performance.now();
      const prepared = preparation.prepare(part(images, open), facts, signal);
      const note = (thrown: unknown): KindredError => toKindredError(thrown);
      const noteTime = (): void => {
        preprocessMs = Math.max(preprocessMs, performance.now() - begin);
      };
      if (allOrNothing)
        throwFaults(faultsOf(await Promise.all(prepared.map((image) => image.catch(note))), open), count);
      await Promise.all(
        prepared.map(async (image, i) => {
          try {
            const pixels = await image.finally(noteTime);
            outcomes[open[i] ?? 0] = await place.submit(pixels);
          } catch (thrown) {
            outcomes[open[i] ?? 0] = note(thrown);
          }
        }),
      );
      metrics.preprocessSeconds.observe({ model: model.name }, preprocessMs / 1000);
    } finally {
      place.leave();
    }
  }
  signal.throwIfAborted();
  const faults = faultsOf(outcomes);
  for (const { error } of faults) {
    metrics.errors.inc({ scope: 'image', reason: error.code });
    // Only what is wrong with an image is the image's own affair.
    if (!isOfImage(error)) throw error;
  }
  if (faults.length === count || allOrNothing) throwFaults(faults, count);
  const dimension = kind === 'backbone' ? facts.backboneDimension : facts.embeddingDimension;
  const result = gather(outcomes as Outcome[], kind, dimension);
  keys.forEach((key, i) => {
    const outcome = outcomes[i];
    if (outcome !== undefined && !(outcome instanceof Float32Array) && !isKindredError(outcome))
      cache.put(key, outcome[kind]);
  });
  metrics.images.inc({ model: model.name }, count - faults.length);
  return { ...result, count, dimension, model: model.name, version: model.version, faults, preprocessMs };
}

/** A key an image where the cache holds anything at all; else none. */
function cacheKeys({ images, kind }: EmbedImagesRequest, { model }: ServedModel, cache: VectorCache): string[] {
  if (!cache.enabled) return [];
  if (images.kind === 'encoded') return images.images.map((image) => vectorKey(model.sha256, kind, 'encoded', image));
  const { pixels, count, height, width } = images;
  const bytes = height * width * 3;
  return Array.from({ length: count }, (_, i) =>
    vectorKey(model.sha256, kind, `${height}×${width}`, pixels.subarray(i * bytes, (i + 1) * bytes)),
  );
}

/** The images at `indices`; their names in errors stay those of the whole request. */
function part(images: ImageBatch, indices: readonly number[]): ImageBatch {
  if (indices.length === imageCount(images)) return images;
  if (images.kind === 'encoded') {
    return { ...images, images: indices.map((i) => images.images[i] as Uint8Array), indices };
  }
  const bytes = images.height * images.width * 3;
  const pixels = Buffer.concat(indices.map((i) => images.pixels.subarray(i * bytes, (i + 1) * bytes)));
  return { ...images, pixels, count: indices.length };
}

function faultsOf(outcomes: readonly unknown[], indices?: readonly number[]): ImageFault[] {
  return outcomes.flatMap((outcome, i) =>
    isKindredError(outcome) ? [{ index: indices?.[i] ?? i, error: outcome }] : [],
  );
}

function isOfImage(error: KindredError): boolean {
  return error.violations.length > 0 && (error.code === 'INVALID_ARGUMENT' || error.code === 'RESOURCE_EXHAUSTED');
}

function throwFaults(faults: readonly ImageFault[], count: number): void {
  const [first] = faults;
  if (first === undefined) return;
  const other = faults.find(({ error }) => !isOfImage(error));
  if (other !== undefined) throw other.error;
  const violations: FieldViolation[] = faults.flatMap(({ error }) => [...error.violations]);
  const text = `${faults.length} of ${count} images cannot be used; first: ${first.error.message}`;
  throw new KindredError(first.error.code, text, { violations });
}

function gather(
  outcomes: readonly Outcome[],
  kind: FeatureKind,
  dimension: number,
): Pick<EmbedImagesResult, 'vectors' | 'queueMs' | 'inferenceMs'> {
  const vectors = new Float32Array(outcomes.length * dimension);
  let queueMs = 0;
  let inferenceMs = 0;
  outcomes.forEach((outcome, i) => {
    if (isKindredError(outcome)) vectors.fill(NaN, i * dimension, (i + 1) * dimension);
    else if (outcome instanceof Float32Array) vectors.set(outcome, i * dimension);
    else {
      vectors.set(outcome[kind], i * dimension);
      queueMs = Math.max(queueMs, outcome.queueMs);
      inferenceMs = Math.max(inferenceMs, outcome.inferenceMs);
    }
  });
  return { vectors, queueMs, inferenceMs };
}
