// What both doors do with a request: admit it, prepare its images, have them embedded with those of others, gather the vectors.
import { KindredError, isKindredError, toKindredError, type FieldViolation } from '@kindred/errors';
import { isPastDeadline } from '@kindred/service-runtime';
import type { EmbeddedImage, Caller } from './engine/batch-queue.js';
import { enterPatiently } from './engine/enter-patiently.js';
import { checkBatch, imageBytes, imageCount, type ImageBatch, type ImageLimits } from './images/image-batch.js';
import type { ImagePreparation } from './images/image-preparation.js';
import { metrics } from './metrics.js';
import type { ServedModel } from './models/served-model.js';
import type { ServedModels } from './models/served-models.js';
import { vectorKeys, type VectorCache } from './vector-cache.js';

/** Which vector of the network. */
export type FeatureKind = 'embedding' | 'backbone';

/** A request. */
export interface EmbedImagesRequest {
  /** `name`, `name@version` or `name@alias`. */
  readonly model: string;
  readonly images: ImageBatch;
  /** Which vectors, one kind or several; the network makes all of them at once. */
  readonly kinds: readonly FeatureKind[];
  /** Whether one image that cannot be used fails the request. */
  readonly allOrNothing: boolean;
  /** Whose turn it takes in the queue. */
  readonly caller: Caller;
  /** Whether it waits for room in the queue instead of being refused. @default false */
  readonly patient?: boolean;
  readonly signal: AbortSignal;
}

/** Why one image has no vector. */
export interface ImageFault {
  readonly index: number;
  readonly error: KindredError;
}

/** The vectors of one kind. */
export interface VectorTable {
  readonly kind: FeatureKind;
  /** float32 [count, dimension]; NaN in the rows of images without a vector. */
  readonly vectors: Float32Array;
  readonly dimension: number;
}

/** What a request gives. */
export interface EmbedImagesResult {
  /** One table a kind, in the order that they were asked for. */
  readonly tables: readonly VectorTable[];
  readonly count: number;
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

/** An image's vectors by kind, from the network or the cache, or why there are none. */
type Outcome = EmbeddedImage | CachedVectors | KindredError;
type CachedVectors = Readonly<Partial<Record<FeatureKind, Float32Array>>>;

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
      const { code } = toKindredError(thrown);
      const reason = code === 'CANCELLED' && isPastDeadline() ? 'DEADLINE_EXCEEDED' : code;
      metrics.errors.inc({ scope: 'request', reason });
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
  const { images, kinds, signal, caller, allOrNothing } = request;
  const { model, facts, queue } = served;
  const count = imageCount(images);
  const outcomes: (Outcome | undefined)[] = Array.from({ length: count });
  const keys = cacheKeys(request, served, cache);
  keys.forEach((ofKinds, i) => {
    const known = cachedVectors(ofKinds, kinds, cache);
    metrics.cache.inc({ result: known === null ? 'miss' : 'hit' });
    if (known !== null) outcomes[i] = known;
  });
  const open = outcomes.flatMap((outcome, i) => (outcome === undefined ? [i] : []));
  let preprocessMs = 0;
  if (open.length > 0) {
    // Room in the queue comes first: a request that is refused has cost nothing yet.
    const taken = part(images, open);
    const bytes = imageBytes(taken) + (taken.kind === 'encoded' ? open.length * facts.cropSize ** 2 * 3 : 0);
    const place =
      request.patient === true
        ? await enterPatiently(queue, caller, open.length, bytes, signal)
        : queue.enter(caller, open.length, bytes, signal);
    try {
      const begin = performance.now();
      const prepared = preparation.prepare(taken, facts, signal);
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
  const known = outcomes as Outcome[];
  const tables = kinds.map((kind): VectorTable => {
    const dimension = kind === 'backbone' ? facts.backboneDimension : facts.embeddingDimension;
    return { kind, dimension, vectors: gather(known, kind, dimension) };
  });
  keys.forEach((ofKinds, i) => {
    const outcome = known[i];
    if (outcome === undefined || !isEmbedded(outcome)) return;
    ofKinds.forEach((key, k) => cache.put(key, outcome[kinds[k] as FeatureKind]));
  });
  metrics.images.inc({ model: model.name }, count - faults.length);
  const embedded = known.filter(isEmbedded);
  return {
    ...{ tables, count, faults, preprocessMs, model: model.name, version: model.version },
    queueMs: embedded.reduce((most, { queueMs }) => Math.max(most, queueMs), 0),
    inferenceMs: embedded.reduce((most, { inferenceMs }) => Math.max(most, inferenceMs), 0),
  };
}

/** The keys of each image, one a kind, where the cache holds anything at all; else none. */
function cacheKeys({ images, kinds }: EmbedImagesRequest, { model }: ServedModel, cache: VectorCache): string[][] {
  if (!cache.enabled) return [];
  const keysOf = (form: string, bytes: Uint8Array): string[] => vectorKeys(model.sha256, kinds, form, bytes);
  if (images.kind === 'encoded') return images.images.map((image) => keysOf('encoded', image));
  const { pixels, count, height, width } = images;
  const bytes = height * width * 3;
  const form = `${height}×${width}`;
  return Array.from({ length: count }, (_, i) => keysOf(form, pixels.subarray(i * bytes, (i + 1) * bytes)));
}

/** What the cache holds of one image; null unless that is all that was asked for. */
function cachedVectors(
  keys: readonly string[],
  kinds: readonly FeatureKind[],
  cache: VectorCache,
): CachedVectors | null {
  const found: Partial<Record<FeatureKind, Float32Array>> = {};
  for (const [k, kind] of kinds.entries()) {
    const vector = cache.get(keys[k] ?? '');
    if (vector === null) return null;
    found[kind] = vector;
  }
  return found;
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

function isEmbedded(outcome: Outcome): outcome is EmbeddedImage {
  return 'inferenceMs' in outcome;
}

/** float32 [outcomes, dimension]; NaN where there is no vector. */
function gather(outcomes: readonly Outcome[], kind: FeatureKind, dimension: number): Float32Array {
  const vectors = new Float32Array(outcomes.length * dimension);
  outcomes.forEach((outcome, i) => {
    const vector = isKindredError(outcome) ? undefined : outcome[kind];
    if (vector === undefined) vectors.fill(NaN, i * dimension, (i + 1) * dimension);
    else vectors.set(vector, i * dimension);
  });
  return vectors;
}
