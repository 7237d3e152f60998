// From the images of a request to a network's input: encoded ones in threads, pixels that fit as they are.
import { centreCrop } from '@kindred/augmentation';
import { KindredError } from '@kindred/errors';
import { createWorkerPool, workerEntry } from '@kindred/workers';
import type { EncodedBatch, ImageBatch, ImageLimits, RawBatch } from './image-batch.js';
import type { ImageTransform } from './image-transform.js';
import type * as ImageWorker from './image.worker.js';

/** Turns images into a network's input. */
export interface ImagePreparation {
  /**
   * Starts on all images of `batch`; promise `i` gives image `i` as uint8 [cropSize, cropSize, 3], or fails with its own error, naming the
   * image. Once `signal` is aborted nothing more is begun, and what is left fails with CANCELLED.
   */
  prepare(batch: ImageBatch, transform: ImageTransform, signal: AbortSignal): Promise<Uint8Array>[];
  /** Ends the threads. */
  close(): Promise<void>;
}

/** Starts `threads` threads, each with one image at a time: that bounds the memory of all calls together. */
export function createImagePreparation(limits: ImageLimits, threads: number): ImagePreparation {
  const pool = createWorkerPool<typeof ImageWorker>({
    entry: workerEntry(import.meta.url, 'image'),
    threads,
    // Images wait here only after their model's queue had room for them.
    maxQueued: Number.MAX_SAFE_INTEGER,
  });
  const { maxImagePixels, maxSide, maxRequestPixels } = limits;

  const prepareEncoded = (
    { images, nameOf, indices }: EncodedBatch,
    transform: ImageTransform,
    signal: AbortSignal,
  ): Promise<Uint8Array>[] => {
    const request = new BigInt64Array(new SharedArrayBuffer(16));
    const begin = (bytes: Uint8Array, i: number): Promise<Uint8Array> => {
      // A copy of its own: sending a part of a message to a thread would send the whole message.
      const own = new Uint8Array(bytes);
      const limited = { maxImagePixels, maxSide, request, maxRequestPixels };
      return pool.run(
        'decode',
        { bytes: own, name: nameOf(indices?.[i] ?? i), transform, ...limited },
        // A signal would end a thread that has begun; the thread looks at `request` instead.
        { transfer: [own.buffer as ArrayBuffer] },
      );
    };
    return unlessLeft(images.map(begin), signal, () => Atomics.store(request, 1, 1n));
  };

  const prepareRaw = (
    { pixels, count, height, width }: RawBatch,
    transform: ImageTransform,
    signal: AbortSignal,
  ): Promise<Uint8Array>[] => {
    const bytes = height * width * 3;
    const { cropSize, resizeSide } = transform;
    const resizes = resizeSide !== null && Math.min(height, width) !== resizeSide;
    const begin = (_: unknown, i: number): Promise<Uint8Array> => {
      const data = pixels.subarray(i * bytes, (i + 1) * bytes);
      if (resizes) {
        const own = { data: new Uint8Array(data), height, width };
        const transfer = [own.data.buffer as ArrayBuffer];
        return pool.run('transform', { image: own, transform }, { transfer });
      }
      const fits = height === cropSize && width === cropSize;
      return Promise.resolve(fits ? data : centreCrop({ data, height, width }, cropSize));
    };
    return unlessLeft(Array.from({ length: count }, begin), signal);
  };

  return {
    prepare: (batch, transform, signal) =>
      batch.kind === 'encoded' ? prepareEncoded(batch, transform, signal) : prepareRaw(batch, transform, signal),
    close: () => pool.close(),
  };
}

/**
 * The results of `works`, unless `signal` comes first; the works themselves are not stopped. One listener for all of them: a
 * stream's signal lives as long as the stream.
 */
function unlessLeft<T>(works: Promise<T>[], signal: AbortSignal, onLeave = (): void => {}): Promise<T>[] {
  let leave = (): void => {};
  const left = new Promise<never>((_, reject) => {
    leave = () => {
      onLeave();
      reject(new KindredError('CANCELLED', 'the caller has left, or its deadline has passed'));
    };
  });
  left.catch(() => {});
  if (signal.aborted) leave();
  signal.addEventListener('abort', leave, { once: true });
  void Promise.allSettled(works).then(() => signal.removeEventListener('abort', leave));
  return works.map((work) => Promise.race([work, left]));
}
