// A model's queue: images of all callers wait in it, and leave it in batches; callers take turns, image by image.
import { KindredError } from '@kindred/errors';
import { batchFor } from './batch-sizes.js';

/** What the network made of one image. */
export interface EmbeddedImage {
  /** float32 [backbone dimension]. */
  readonly backbone: Float32Array;
  /** float32 [embedding dimension]. */
  readonly embedding: Float32Array;
  /** From being handed in to being taken into a batch, in milliseconds. */
  readonly queueMs: number;
  /** In the network, with the others of the batch, in milliseconds. */
  readonly inferenceMs: number;
}

/** A batch's vectors, [count, dimension] each. */
export interface EmbeddedBatch {
  readonly backbone: Float32Array;
  readonly embedding: Float32Array;
}

/** How a queue batches. */
export interface BatchQueueOptions {
  /** Bytes of one image. */
  readonly imageBytes: number;
  /** Batch sizes that are compiled, rising; the last one is the largest batch. */
  readonly batchSizes: readonly number[];
  /** How long an image waits for others while an instance of the network is idle, in milliseconds. */
  readonly maxDelayMs: number;
  /** Images that may be in the queue, those still being decoded included. */
  readonly maxDepth: number;
  /** Bytes that the requests in the queue may hold together; one alone may hold more. */
  readonly maxBytes: number;
  /** Batches that the network takes side by side. @default 1 */
  readonly instances?: number;
  /** Runs the network on `pixels`, uint8 [batch, imageBytes], of which the first `count` images are real. */
  readonly run: (pixels: Uint8Array, batch: number, count: number) => Promise<EmbeddedBatch>;
  /** Hears of each batch that was taken, and how long its images had waited, in milliseconds. */
  readonly onBatch?: (count: number, waitedMs: readonly number[]) => void;
  /** Hears of each batch's time in the network, in milliseconds. */
  readonly onComputed?: (milliseconds: number) => void;
  /** Hears of each change of the number of images in the queue. */
  readonly onDepth?: (images: number) => void;
  /** Hears of images that were dropped because their caller left or its deadline passed. */
  readonly onDropped?: (images: number) => void;
  /** @default performance.now */
  readonly now?: () => number;
}

/** Whom images belong to: callers take turns. One a unary call, one a stream. */
export type Caller = object;

/** Room for the images of one request. */
export interface Place {
  /** Hands one image in. CANCELLED when the caller leaves before it is taken into a batch. */
  submit(pixels: Uint8Array): Promise<EmbeddedImage>;
  /** Gives back room that is not used (an image that could not be decoded); to be called once the request is done. */
  leave(): void;
}

/** A model's queue. */
export interface BatchQueue {
  /**
   * Takes room for `images` of `caller`, which hold `bytes` until the place is left, before anything is spent on them.
   * RESOURCE_EXHAUSTED, with the time after which room is likely, when there is none. Aborting `signal` frees what has not been taken
   * into a batch.
   */
  enter(caller: Caller, images: number, bytes: number, signal: AbortSignal): Place;
  /** Where it has no room for anybody now: the time after which room is likely, in milliseconds; else null. */
  fullForMs(): number | null;
  /** Images in the queue now. */
  depth(): number;
  /** Ends when nothing waits and nothing is in the network. */
  idle(): Promise<void>;
}

interface Waiting {
  readonly pixels: Uint8Array;
  readonly place: PlaceState;
  readonly since: number;
  readonly resolve: (image: EmbeddedImage) => void;
  readonly reject: (error: unknown) => void;
}

interface PlaceState {
  /** Room that is neither used by a waiting image nor given back. */
  room: number;
  readonly waiting: Set<Waiting>;
  left: boolean;
}

/** Batches on their way to an instance of the network: one in it, one that waits at its door. */
const maxUnderWayEach = 2;
const minRetryMs = 20;
const maxRetryMs = 5000;

/** Makes an empty queue. */
export function createBatchQueue(options: BatchQueueOptions): BatchQueue {
  const { imageBytes, batchSizes, maxDelayMs, maxDepth, maxBytes, run } = options;
  const { onBatch, onComputed, onDepth, onDropped } = options;
  const now = options.now ?? (() => performance.now());
  const maxBatch = batchSizes.at(-1) ?? 1;
  const instances = options.instances ?? 1;
  // Callers in the order of their turns; each with its images in their order.
  const turns = new Map<Caller, Waiting[]>();
  let depth = 0;
  let held = 0;
  // Room for images that must be there before anybody is let in again: what was refused, as long as the network keeps batches to go on
  // with. Without it small requests would take each place that becomes free, and a large one would never find enough of them.
  let wanted = 1;
  const mostWanted = Math.max(1, maxDepth - 3 * maxBatch);
  let ready = 0;
  let underWay = 0;
  let timer: NodeJS.Timeout | null = null;
  let imageMs = 1;
  const idleWaiters: (() => void)[] = [];

  const changeDepth = (by: number): void => {
    depth += by;
    onDepth?.(depth);
  };
  const roomInMs = (images: number): number =>
    Math.min(maxRetryMs, Math.max(minRetryMs, Math.ceil((depth + images - maxDepth) * imageMs)));
  const oldestSince = (): number => turns.values().next().value?.[0]?.since ?? now();

  /** Starts as many batches as should be under way now. */
  const pump = (): void => {
    while (ready > 0 && underWay < maxUnderWayEach * instances) {
      if (ready < maxBatch) {
        // While all instances work, what comes joins the next batch.
        if (underWay >= instances) return;
        const left = oldestSince() + maxDelayMs - now();
        if (left > 0) {
          timer ??= setTimeout(() => {
            timer = null;
            pump();
          }, left);
          return;
        }
      }
      void compute(take());
    }
    if (depth === 0 && underWay === 0) for (const wake of idleWaiters.splice(0)) wake();
  };

  /** Takes the next batch, one image a caller and turn. */
  const take = (): Waiting[] => {
    const count = batchFor(batchSizes, ready).count;
    const batch: Waiting[] = [];
    while (batch.length < count) {
      const [caller, images] = turns.entries().next().value as [Caller, Waiting[]];
      const image = images.shift() as Waiting;
      turns.delete(caller);
      if (images.length > 0) turns.set(caller, images);
      image.place.waiting.delete(image);
      batch.push(image);
    }
    ready -= count;
    changeDepth(-count);
    return batch;
  };

  const compute = async (batch: readonly Waiting[]): Promise<void> => {
    underWay++;
    const count = batch.length;
    const { size } = batchFor(batchSizes, count);
    const pixels = new Uint8Array(size * imageBytes);
    batch.forEach((image, i) => pixels.set(image.pixels, i * imageBytes));
    const begin = now();
    onBatch?.(
      count,
      batch.map(({ since }) => begin - since),
    );
    try {
      const result = await run(pixels, size, count);
      const inferenceMs = now() - begin;
      imageMs = 0.8 * imageMs + (0.2 * inferenceMs) / count;
      onComputed?.(inferenceMs);
      const [wide, narrow] = [result.backbone.length / count, result.embedding.length / count];
      batch.forEach(({ since, resolve }, i) =>
        resolve({
          backbone: result.backbone.subarray(i * wide, (i + 1) * wide),
          embedding: result.embedding.subarray(i * narrow, (i + 1) * narrow),
          queueMs: begin - since,
          inferenceMs,
        }),
      );
    } catch (thrown) {
      for (const { reject } of batch) reject(thrown);
    } finally {
      underWay--;
      pump();
    }
  };

  const drop = (caller: Caller, image: Waiting): void => {
    const images = turns.get(caller) ?? [];
    const at = images.indexOf(image);
    if (at >= 0) images.splice(at, 1);
    if (images.length === 0) turns.delete(caller);
    image.place.waiting.delete(image);
    ready--;
    changeDepth(-1);
    image.reject(new KindredError('CANCELLED', 'the caller has left, or its deadline has passed'));
  };

  return {
    enter(caller, images, bytes, signal) {
      if (depth + images > maxDepth) {
        wanted = Math.max(wanted, Math.min(images, mostWanted));
        throw new KindredError(
          'RESOURCE_EXHAUSTED',
          `${depth} images wait already, and ${images} more would pass ${maxDepth}; retry later`,
          { retryAfterMs: roomInMs(images) },
        );
      }
      if (held > 0 && held + bytes > maxBytes) {
        throw new KindredError(
          'RESOURCE_EXHAUSTED',
          `the requests that wait already hold ${held} bytes, and ${bytes} more would pass ${maxBytes}; retry later`,
          { retryAfterMs: roomInMs(maxDepth) },
        );
      }
      held += bytes;
      changeDepth(images);
      const state: PlaceState = { room: images, waiting: new Set(), left: false };
      const leave = (): void => {
        if (state.left) return;
        state.left = true;
        signal.removeEventListener('abort', leave);
        // An abort comes before the place is left otherwise: what is not handed in yet is dropped with what waits.
        const dropped = state.waiting.size + (signal.aborted ? state.room : 0);
        if (dropped > 0) onDropped?.(dropped);
        for (const image of [...state.waiting]) drop(caller, image);
        changeDepth(-state.room);
        state.room = 0;
        held -= bytes;
        pump();
      };
      if (signal.aborted) leave();
      else signal.addEventListener('abort', leave, { once: true });
      return {
        leave,
        submit: (pixels) =>
          new Promise((resolve, reject) => {
            if (state.left || state.room === 0) {
              reject(new KindredError('CANCELLED', 'the caller has left, or its deadline has passed'));
              return;
            }
            state.room--;
            const image: Waiting = { pixels, place: state, since: now(), resolve, reject };
            state.waiting.add(image);
            const images = turns.get(caller);
            if (images === undefined) turns.set(caller, [image]);
            else images.push(image);
            ready++;
            pump();
          }),
      };
    },
    fullForMs() {
      if (held >= maxBytes) return roomInMs(maxDepth);
      if (depth + wanted > maxDepth) return roomInMs(wanted);
      wanted = 1;
      return null;
    },
    depth: () => depth,
    idle: () =>
      new Promise((resolve) => {
        idleWaiters.push(resolve);
        pump();
      }),
  };
}
