// A thread that makes views: pixels of a dataset in shared memory in, views into their places of a shared batch.
import type { RgbImage } from '@kindred/augmentation';
import { imageAt, type ImageTable } from '@kindred/datasets';
import { workerTask } from '@kindred/workers';
import { createViewWriter, viewShape, type Transformation, type ViewWriter } from './transformation.js';

/** Views of some images of a dataset. */
export interface ViewsRequest {
  /** In shared memory: handing it to a thread copies nothing. */
  readonly images: ImageTable;
  readonly transformation: Transformation;
  readonly seed: bigint;
  readonly epoch: number;
  /** Images to take, by index. */
  readonly indices: Uint32Array;
}

/** A thread's share of such views. */
export interface ViewsTask extends ViewsRequest {
  /** Where the views go, `[indices, views, side, side, 3]`; in shared memory, so that nothing is copied back. */
  readonly out: Uint8Array;
}

/** Views of an image that came with a request; its chance is keyed by its position. */
export interface LooseViewsRequest {
  readonly image: RgbImage;
  /** Position in the request, from 0. */
  readonly imageIndex: number;
  readonly transformation: Transformation;
  readonly seed: bigint;
  readonly epoch: number;
}

let writer: { readonly key: string; readonly write: ViewWriter } | null = null;

/** Writes the views of images of a dataset. */
export const writeViews = workerTask(({ images, transformation, seed, epoch, indices, out }: ViewsTask): void => {
  const { bytes } = viewShape(transformation);
  const write = writerOf(transformation);
  indices.forEach((imageIndex, position) => {
    write(imageAt(images, imageIndex), { seed, epoch, imageIndex }, out, position * bytes);
  });
});

/** Makes the views of a request's own image: uint8 [views, side, side, 3]. */
export const viewsOfLoose = workerTask(
  ({ image, imageIndex, transformation, seed, epoch }: LooseViewsRequest): Uint8Array => {
    const out = new Uint8Array(viewShape(transformation).bytes);
    writerOf(transformation)(image, { seed, epoch, imageIndex }, out, 0);
    return out;
  },
  (views) => [views.buffer as ArrayBuffer],
);

/** The pipeline for `transformation`, kept from the last task: a stream's tasks all have the same. */
function writerOf(transformation: Transformation): ViewWriter {
  const key = JSON.stringify(transformation);
  if (writer?.key !== key) writer = { key, write: createViewWriter(transformation) };
  return writer.write;
}
