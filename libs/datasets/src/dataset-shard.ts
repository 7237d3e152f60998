// A shard of a pushed dataset: a safetensors file with some images of a split, and a split's index beside its shards.
import { KindredError } from '@kindred/errors';
import { decodeSafetensors, encodeSafetensors } from '@kindred/formats';

/** Some images of a split as their files were. */
export interface EncodedImages {
  readonly kind: 'encoded';
  /** Path of each below its split, for people, e.g. `cat/0001.png`. */
  readonly paths: readonly string[];
  readonly files: readonly Uint8Array[];
}

/** Some images of a split as pixels. */
export interface RawImages {
  readonly kind: 'raw';
  readonly count: number;
  readonly height: number;
  readonly width: number;
  /** uint8 [count, height, width, 3] */
  readonly pixels: Uint8Array;
}

/** What is known of each image of a split before its shards are read; all of the same length. */
export interface SplitIndex {
  /** Class of each image; -1: none. */
  readonly labels: Int32Array;
  readonly heights: Int32Array;
  readonly widths: Int32Array;
}

/** Encodes a shard. The same images give the same bytes. */
export function encodeShard(images: EncodedImages | RawImages): Uint8Array {
  if (images.kind === 'raw') {
    const { count, height, width, pixels } = images;
    return encodeSafetensors({ images: { dtype: 'U8', shape: [count, height, width, 3], data: pixels } });
  }
  const { files } = images;
  const offsets = new BigInt64Array(files.length + 1);
  let end = 0;
  files.forEach((file, i) => (offsets[i + 1] = BigInt((end += file.length))));
  const paths = new TextEncoder().encode(JSON.stringify(images.paths));
  return encodeSafetensors({
    offsets: { dtype: 'I64', shape: [offsets.length], data: offsets },
    files: { dtype: 'U8', shape: [end], data: Buffer.concat(files) },
    paths: { dtype: 'U8', shape: [paths.length], data: paths },
  });
}

/** Reads a shard of `count` images; files and pixels are views of `bytes`. DATA_LOSS, naming it, when it does not hold together. */
export function decodeShard(bytes: Uint8Array, name: string, count: number): EncodedImages | RawImages {
  const { tensors } = decodeSafetensors(bytes, name);
  const images = tensors.get('images');
  if (images !== undefined) {
    const [n, height = 0, width = 0] = images.shape;
    if (n !== count || !(images.data instanceof Uint8Array)) throw damagedShard(name, `does not hold ${count} images`);
    return { kind: 'raw', count, height, width, pixels: images.data };
  }
  const offsets = tensors.get('offsets')?.data;
  const files = tensors.get('files')?.data;
  const paths = tensors.get('paths')?.data;
  if (!(offsets instanceof BigInt64Array && files instanceof Uint8Array && paths instanceof Uint8Array))
    throw damagedShard(name, 'is no shard of images');
  if (offsets.length !== count + 1) throw damagedShard(name, `does not hold ${count} images`);
  return {
    kind: 'encoded',
    paths: parsePaths(paths, name),
    files: Array.from({ length: count }, (_, i) => files.subarray(Number(offsets[i]), Number(offsets[i + 1]))),
  };
}

function parsePaths(bytes: Uint8Array, name: string): readonly string[] {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as readonly string[];
  } catch {
    throw damagedShard(name, 'has no paths of its images');
  }
}

/** Encodes a split's index. */
export function encodeSplitIndex({ labels, heights, widths }: SplitIndex): Uint8Array {
  const shape = [labels.length];
  return encodeSafetensors({
    labels: { dtype: 'I32', shape, data: labels },
    heights: { dtype: 'I32', shape, data: heights },
    widths: { dtype: 'I32', shape, data: widths },
  });
}

/** Reads the index of a split of `count` images. DATA_LOSS, naming it, when it does not hold together. */
export function decodeSplitIndex(bytes: Uint8Array, name: string, count: number): SplitIndex {
  const { tensors } = decodeSafetensors(bytes, name);
  const column = (title: string): Int32Array => {
    const data = tensors.get(title)?.data;
    if (data instanceof Int32Array && data.length === count) return data;
    throw damagedShard(name, `has no ${title} of ${count} images`);
  };
  return { labels: column('labels'), heights: column('heights'), widths: column('widths') };
}

/** DATA_LOSS about one shard. */
export function damagedShard(name: string, problem: string): KindredError {
  return new KindredError('DATA_LOSS', `${name}: ${problem}`, { resource: { type: 'artifact', name } });
}
