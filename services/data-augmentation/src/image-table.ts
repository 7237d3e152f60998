// A decoded dataset in shared memory: every thread reads the same pixels, none copies them.
import type { RgbImage } from '@kindred/augmentation';

/** Where each image's pixels lie. */
export type ImageLayout =
  | { readonly kind: 'uniform'; readonly height: number; readonly width: number }
  | {
      readonly kind: 'varied';
      /** First byte of each image, [size]. */
      readonly offsets: Float64Array;
      /** Height of each image in pixels, [size]. */
      readonly heights: Uint32Array;
      /** Width of each image in pixels, [size]. */
      readonly widths: Uint32Array;
    };

/** Pixels that threads share. All memory is SharedArrayBuffer, so that handing it to a thread costs nothing. */
export interface SharedImages {
  /** uint8, image after image, each [height, width, 3]. */
  readonly pixels: Uint8Array;
  readonly layout: ImageLayout;
}

/** A dataset split that is open. */
export interface ImageTable extends SharedImages {
  /** Number of images. */
  readonly size: number;
  /** Label of each image, int32 [size]; -1: unlabelled. */
  readonly labels: Int32Array;
  readonly classNames: readonly string[];
  /** SHA-256 over pixels and labels, lower-case hexadecimal. */
  readonly contentSha256: string;
}

/** Image `index` as a view of the shared pixels. */
export function imageAt({ pixels, layout }: SharedImages, index: number): RgbImage {
  const height = layout.kind === 'uniform' ? layout.height : (layout.heights[index] ?? 0);
  const width = layout.kind === 'uniform' ? layout.width : (layout.widths[index] ?? 0);
  const bytes = height * width * 3;
  const start = layout.kind === 'uniform' ? index * bytes : (layout.offsets[index] ?? 0);
  return { data: pixels.subarray(start, start + bytes), height, width };
}

/** Bytes of memory that a table holds. */
export function tableBytes({ pixels, labels, layout }: ImageTable): number {
  const places = layout.kind === 'varied' ? layout.offsets.byteLength + layout.heights.byteLength + layout.widths.byteLength : 0;
  return pixels.byteLength + labels.byteLength + places;
}

/** `array` in shared memory; itself if it lies there already. */
export function shared<T extends Uint8Array | Int32Array | Uint32Array | Float64Array>(array: T): T {
  if (array.buffer instanceof SharedArrayBuffer) return array;
  const buffer = new SharedArrayBuffer(array.byteLength);
  new Uint8Array(buffer).set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  return new (array.constructor as new (buffer: SharedArrayBuffer) => T)(buffer);
}
