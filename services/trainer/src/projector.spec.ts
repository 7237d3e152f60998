// The projector’s files: which images are taken, and the picture as libpng reads it.
import { StreamBatchesResponse } from '@kindred/protocol/augmentation';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { projectImages, projectorFiles } from './projector.js';

const side = 2;
const total = 10;

/** Image i: all its pixels have the values 20·i, 20·i + 1, 20·i + 2; its label is i; its embedding is [i, 1 - i / 3]. */
async function* batches(size: number): AsyncGenerator<StreamBatchesResponse> {
  for (let first = 0; first < total; first += size) {
    const numbers = Array.from({ length: Math.min(size, total - first) }, (_, i) => first + i);
    yield StreamBatchesResponse.create({
      batch: first / size,
      batchCount: Math.ceil(total / size),
      count: numbers.length,
      images: Uint8Array.from(numbers.flatMap((i) => Array.from({ length: side * side }, () => pixelOf(i)).flat())),
      labels: new Uint8Array(Int32Array.from(numbers).buffer),
    });
  }
}

function pixelOf(image: number): number[] {
  return [20 * image, 20 * image + 1, 20 * image + 2];
}

function embed(images: Uint8Array, count: number): { embedding: Float32Array } {
  const numbers = Array.from({ length: count }, (_, i) => (images[i * side * side * 3] ?? 0) / 20);
  return { embedding: Float32Array.from(numbers.flatMap((i) => [i, 1 - i / 3])) };
}

describe('projector', () => {
  it.each([3, 4, 10])('takes images at equal distances, in batches of %i', async (size) => {
    const projected = await projectImages(batches(size), embed, 4, side);
    expect(projected.indices).toEqual([0, 3, 6, 9]);
    expect(projected.labels).toEqual([0, 3, 6, 9]);
    expect([...projected.embeddings].map((value) => Number(value.toFixed(4)))).toEqual([0, 1, 3, 0, 6, -1, 9, -2]);
  });

  it('writes the files that TensorBoard reads', async () => {
    const files = await projectorFiles(await projectImages(batches(4), embed, 5, side));
    expect(files.map(({ name }) => name)).toEqual([
      'tensors.tsv',
      'metadata.tsv',
      'sprite.png',
      'projector_config.pbtxt',
    ]);
    const [tensors, metadata, sprite, config] = files.map(({ content }) => content);
    expect(text(tensors)).toBe('0\t1\n3\t0\n6\t-1\n9\t-2\n');
    expect(text(metadata)).toBe('label\tindex\n0\t0\n3\t3\n6\t6\n9\t9\n');
    expect(text(config)).toMatch(/single_image_dim: 2\n {4}single_image_dim: 2/);
    // libpng reads the picture: two by two images.
    const { data, info } = await sharp(sprite).raw().toBuffer({ resolveWithObject: true });
    expect(info).toMatchObject({ width: 4, height: 4, channels: 3 });
    const at = (x: number, y: number): number[] => [...data.subarray((y * 4 + x) * 3, (y * 4 + x) * 3 + 3)];
    expect([at(0, 0), at(3, 1), at(1, 2), at(2, 3)]).toEqual([0, 3, 6, 9].map(pixelOf));
  });
});

function text(content: Uint8Array | undefined): string {
  return new TextDecoder().decode(content);
}
