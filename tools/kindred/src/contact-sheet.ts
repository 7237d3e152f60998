// A picture for people: some images, each with its nearest neighbours in its row.
import { openStore } from '@kindred/artifact-store';
import { decodeNpyAs } from '@kindred/formats';
import type { DatasetReference } from '@kindred/protocol/augmentation';
import { int32Of, uint32Of } from '@kindred/service-runtime';
import sharp from 'sharp';
import type { Session } from './session.js';

/** What the picture shows. */
export interface ContactSheetOptions {
  /** Key of the neighbour file, int64 [n, k + 1]. */
  readonly neighborsKey: string;
  /** The split that it is about. */
  readonly dataset: DatasetReference;
  /** Height and width of an image in pixels. */
  readonly cropSize: number;
  /** Where the .png goes. */
  readonly path: string;
  /** Images with neighbours, of different classes as far as possible. @default 10 */
  readonly rows?: number;
  /** Neighbours an image. @default 10 */
  readonly neighbors?: number;
}

interface Picture {
  readonly pixels: Uint8Array;
  readonly label: number;
}

const border = 3;
const gap = 4;
const sameClass = { r: 46, g: 160, b: 67 };
const otherClass = { r: 207, g: 34, b: 46 };
const query = { r: 36, g: 41, b: 47 };
/** Side of an image on the sheet, at least, in pixels. */
const shownSide = 64;

/**
 * Draws the sheet: left the image, right of it its neighbours, framed green where they share its class and red where
 * not. Reads the artifact store itself.
 */
export async function drawContactSheet(
  session: Session,
  artifactStore: string,
  options: ContactSheetOptions,
): Promise<void> {
  const { neighborsKey, rows = 10, neighbors = 10, cropSize } = options;
  const store = await openStore(artifactStore);
  const { data, shape } = decodeNpyAs(await store.get(neighborsKey), 'i8', neighborsKey);
  const [count = 0, width = 0] = shape;
  // The rows are evenly spread over the split, so that they need no labels to differ.
  const queries = await spreadOverClasses(session, options, count, rows);
  const lines = queries.map((row) =>
    Array.from({ length: Math.min(width, neighbors + 1) }, (_, column) => Number(data[row * width + column])),
  );
  const pictures = await readPictures(session, options, new Set(lines.flat()));

  const scale = Math.max(1, Math.round(shownSide / cropSize));
  const cell = cropSize * scale + 2 * border;
  const tiles = lines.flatMap((line, y) =>
    line.map(async (index, x) => {
      const picture = pictures.get(index);
      const label = pictures.get(line[0] ?? 0)?.label;
      const color = x === 0 ? query : picture?.label === label ? sameClass : otherClass;
      const input = await tile(picture?.pixels ?? new Uint8Array(cropSize * cropSize * 3), cropSize, scale, color);
      return { input, left: gap + x * (cell + gap) + (x > 0 ? 3 * gap : 0), top: gap + y * (cell + gap) };
    }),
  );
  const columns = lines[0]?.length ?? 1;
  const size = { width: columns * (cell + gap) + 4 * gap, height: lines.length * (cell + gap) + gap };
  await sharp({ create: { ...size, channels: 3, background: '#ffffff' } })
    .composite(await Promise.all(tiles))
    .png()
    .toFile(options.path);
}

async function tile(pixels: Uint8Array, side: number, scale: number, background: typeof query): Promise<Buffer> {
  return sharp(pixels, { raw: { width: side, height: side, channels: 3 } })
    .resize(side * scale, side * scale, { kernel: 'nearest' })
    .extend({ top: border, bottom: border, left: border, right: border, background })
    .png()
    .toBuffer();
}

/** Positions of the first images of each class in turn, until there are `rows`. */
async function spreadOverClasses(
  session: Session,
  options: ContactSheetOptions,
  count: number,
  rows: number,
): Promise<number[]> {
  const byClass = new Map<number, number[]>();
  for await (const { index, label } of pictures(session, options)) {
    const members = byClass.get(label) ?? [];
    if (members.length < rows && index < count) members.push(index);
    byClass.set(label, members);
  }
  const classes = [...byClass].sort(([a], [b]) => a - b).map(([, members]) => members);
  const turns = Array.from({ length: rows }, (_, turn) => classes.map((members) => members[turn]));
  return turns
    .flat()
    .filter((index) => index !== undefined)
    .slice(0, rows);
}

async function readPictures(
  session: Session,
  options: ContactSheetOptions,
  wanted: ReadonlySet<number>,
): Promise<Map<number, Picture>> {
  const found = new Map<number, Picture>();
  for await (const { index, label, pixels } of pictures(session, options)) {
    if (wanted.has(index)) found.set(index, { label, pixels: pixels.slice() });
    if (found.size === wanted.size) break;
  }
  return found;
}

async function* pictures(
  { augmentation, signal }: Session,
  { dataset, cropSize }: ContactSheetOptions,
): AsyncGenerator<{ index: number; label: number; pixels: Uint8Array }> {
  const transformation = { kind: { $case: 'evaluation' as const, value: { cropSize } } };
  const bytes = cropSize * cropSize * 3;
  for await (const batch of augmentation.streamBatches({ dataset, transformation, batchSize: 512 }, { signal })) {
    const indices = uint32Of(batch.indices, 'indices');
    const labels = int32Of(batch.labels, 'labels');
    for (let i = 0; i < batch.count; i++) {
      yield {
        index: indices[i] ?? 0,
        label: labels[i] ?? -1,
        pixels: batch.images.subarray(i * bytes, (i + 1) * bytes),
      };
    }
  }
}
