// A dataset split that is open: plain data over shared memory, so that it passes between threads without a copy.
import type { ImageTable } from '@kindred/datasets';

/** An open split. */
export interface OpenDataset {
  /** Number of images. */
  readonly size: number;
  /** Height of every image in pixels, or `null` when they differ. */
  readonly height: number | null;
  /** Width of every image in pixels, or `null` when they differ. */
  readonly width: number | null;
  readonly classNames: readonly string[];
  /** SHA-256, lower-case hexadecimal. */
  readonly contentHash: string;
  readonly table: ImageTable;
}

/** Bytes of memory that an open split holds. */
export function openDatasetBytes({ table }: OpenDataset): number {
  const { pixels, offsets, heights, widths, labels } = table;
  return [pixels, offsets, heights, widths, labels].reduce((sum, { byteLength }) => sum + byteLength, 0);
}
