// TensorBoard's embedding projector: embeddings of some images, their labels and their pictures, as the files that it reads.
import { int32Of } from '@kindred/service-runtime';
import type { StreamBatchesResponse } from '@kindred/protocol/augmentation';
import sharp from 'sharp';

/** Embeddings of some images with what the projector shows beside them. */
export interface ProjectedImages {
  /** `[n, dimension]`. */
  readonly embeddings: Float32Array;
  readonly dimension: number;
  /** `[n]`. */
  readonly labels: readonly number[];
  /** Places of the images in their split, `[n]`. */
  readonly indices: readonly number[];
  /** uint8 `[n, side, side, 3]`. */
  readonly pixels: Uint8Array;
  readonly side: number;
}

/** A file by its name. */
export interface NamedFile {
  readonly name: string;
  readonly content: Uint8Array;
}

/** Largest side of the picture of all images that TensorBoard takes, in pixels. */
const maxSpriteSide = 8192;

/** Embeds about `count` images of a split, at equal distances, so that a split in order of its classes shows all of them. */
export async function projectImages(
  batches: AsyncIterable<StreamBatchesResponse>,
  embed: (images: Uint8Array, count: number) => { readonly embedding: Float32Array },
  count: number,
  side: number,
): Promise<ProjectedImages> {
  const most = Math.min(count, Math.floor(maxSpriteSide / side) ** 2);
  const bytes = side * side * 3;
  const [embeddings, pixels, labels, indices] = [[] as number[], [] as Uint8Array[], [] as number[], [] as number[]];
  let dimension = 0;
  let first = 0;
  let distance = 0;
  for await (const { images, count: size, labels: encoded, batchCount } of batches) {
    distance ||= Math.max(1, Math.ceil((size * batchCount) / most));
    const { embedding } = embed(images, size);
    const batchLabels = int32Of(encoded, 'labels');
    dimension = embedding.length / size;
    for (let i = (distance - (first % distance)) % distance; i < size; i += distance) {
      embeddings.push(...embedding.subarray(i * dimension, (i + 1) * dimension));
      pixels.push(images.slice(i * bytes, (i + 1) * bytes));
      labels.push(batchLabels[i] ?? -1);
      indices.push(first + i);
    }
    first += size;
  }
  return { embeddings: Float32Array.from(embeddings), dimension, labels, indices, pixels: Buffer.concat(pixels), side };
}

/** The projector's files; the one that names the others is the last, so that it never names one that is not there yet. */
export async function projectorFiles(images: ProjectedImages): Promise<NamedFile[]> {
  const { embeddings, dimension, labels, indices, pixels, side } = images;
  const rows = labels.map((_, row) => {
    const values = embeddings.subarray(row * dimension, (row + 1) * dimension);
    // Seven digits tell float32 numbers of one size apart.
    return Array.from(values, (value) => Number(value.toPrecision(7))).join('\t');
  });
  const metadata = ['label\tindex', ...labels.map((label, row) => `${label}\t${indices[row] ?? ''}`)];
  const config = [
    'embeddings {',
    '  tensor_name: "validation images"',
    '  tensor_path: "tensors.tsv"',
    '  metadata_path: "metadata.tsv"',
    '  sprite {',
    '    image_path: "sprite.png"',
    `    single_image_dim: ${side}`,
    `    single_image_dim: ${side}`,
    '  }',
    '}',
  ];
  return [
    { name: 'tensors.tsv', content: textOf(rows) },
    { name: 'metadata.tsv', content: textOf(metadata) },
    { name: 'sprite.png', content: await sprite(pixels, labels.length, side) },
    { name: 'projector_config.pbtxt', content: textOf(config) },
  ];
}

/** All images in one PNG, row by row, in a square. */
function sprite(pixels: Uint8Array, count: number, side: number): Promise<Uint8Array> {
  const columns = Math.max(1, Math.ceil(Math.sqrt(count)));
  const width = columns * side;
  const square = new Uint8Array(width * width * 3);
  for (let image = 0; image < count; image++) {
    const [left, top] = [(image % columns) * side, Math.floor(image / columns) * side];
    for (let y = 0; y < side; y++) {
      const row = (image * side + y) * side * 3;
      square.set(pixels.subarray(row, row + side * 3), ((top + y) * width + left) * 3);
    }
  }
  return sharp(square, { raw: { width, height: width, channels: 3 } })
    .png()
    .toBuffer();
}

function textOf(lines: readonly string[]): Uint8Array {
  return new TextEncoder().encode(`${lines.join('\n')}\n`);
}
