// Decodes encoded images straight into one table: the decoded set is in memory once.
import sharp from 'sharp';
import { createImageTable } from './dataset.js';
import type { ImageTable, RgbImage } from './dataset.js';
import { forEachBounded } from './for-each-bounded.js';
import type { ImageSource } from './image-source.js';
import type { OpenDatasetOptions } from './open-options.js';
import { damagedFile } from './record-files.js';

type DecodeOptions = Pick<OpenDatasetOptions, 'concurrency' | 'onProgress' | 'signal'>;

/** Height and width in pixels. */
export interface Size {
  readonly height: number;
  readonly width: number;
}

/** So many images are measured before all are taken to be of one size. */
const probeCount = 32;
const progressEvery = 256;

/**
 * Decodes to 8-bit RGB as Pillow's `convert('RGB')` does: alpha is dropped, grey is repeated, colour profiles and EXIF rotation
 * are not applied. DATA_LOSS names the first file that does not decode.
 */
export async function decodeImages(sources: readonly ImageSource[], options: DecodeOptions): Promise<ImageTable> {
  const probes: Size[] = [];
  await forEachBounded(sources.slice(0, probeCount), options, async (source, i) => {
    probes[i] = await measure(source);
  });
  const first = probes[0] ?? { height: 0, width: 0 };
  if (probes.every((size) => sameSize(size, first))) {
    const table = createImageTable(sources.length, () => first);
    if (await decodeInto(table, sources, options)) return table;
  }
  const sizes: Size[] = [];
  await forEachBounded(sources, options, async (source, i) => {
    sizes[i] = await measure(source);
    report(options, 'measure', i, sources.length);
  });
  const table = createImageTable(sources.length, (i) => sizes[i] ?? first);
  if (await decodeInto(table, sources, options)) return table;
  throw damagedFile(sources[0]?.path ?? 'images', 'and others changed their size while they were read; try again');
}

/** Fills the table; false when an image has another size than the table has room for. */
async function decodeInto(
  table: ImageTable,
  sources: readonly ImageSource[],
  options: DecodeOptions,
): Promise<boolean> {
  let fits = true;
  let done = 0;
  await forEachBounded(sources, options, async (source, i) => {
    if (!fits) return;
    const { data, height, width } = await decode(source);
    if (height !== table.heights[i] || width !== table.widths[i]) {
      fits = false;
      return;
    }
    table.pixels.set(data, table.offsets[i]);
    report(options, 'decode', done++, sources.length);
  });
  return fits;
}

/**
 * Decodes one image of bytes (PNG, JPEG, WebP) to 8-bit RGB, as {@link decodeImages} does; `path` names it in errors.
 * DATA_LOSS when it does not decode.
 */
export async function decodeImage(bytes: Uint8Array, path: string): Promise<RgbImage> {
  try {
    const { data, info } = await sharp(bytes, { failOn: 'warning', ignoreIcc: true, sequentialRead: true })
      .toColourspace('srgb')
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw new Error(`decodes to ${info.channels} channels`);
    return { data, height: info.height, width: info.width };
  } catch (cause) {
    throw brokenImage({ path }, bytes, cause);
  }
}

async function decode(source: ImageSource): Promise<RgbImage> {
  return decodeImage(await source.read(), source.path);
}

async function measure(source: ImageSource): Promise<Size> {
  return measureImage(await source.read(), source.path);
}

/** The size that an image's header tells, in pixels; `path` names it in errors. DATA_LOSS when it has none. */
export async function measureImage(bytes: Uint8Array, path: string): Promise<Size> {
  try {
    const { height, width } = await sharp(bytes).metadata();
    return { height, width };
  } catch (cause) {
    throw brokenImage({ path }, bytes, cause);
  }
}

function brokenImage({ path }: Pick<ImageSource, 'path'>, bytes: Uint8Array, cause: unknown): Error {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return damagedFile(
    path,
    `is no image that can be decoded (${bytes.length} bytes): ${reason}. Mend or remove it`,
    cause,
  );
}

function sameSize(a: Size, b: Size): boolean {
  return a.height === b.height && a.width === b.width;
}

function report({ onProgress }: DecodeOptions, phase: 'measure' | 'decode', index: number, total: number): void {
  if (index % progressEvery === progressEvery - 1 || index === total - 1)
    onProgress?.({ phase, done: index + 1, total });
}
