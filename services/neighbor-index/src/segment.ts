// An index on disk: a manifest, and immutable segments of rows that it names.
import type { ArtifactStore } from '@kindred/artifact-store';
import { KindredError } from '@kindred/errors';
import { decodeSafetensors, encodeSafetensors } from '@kindred/formats';
import { z } from 'zod';

/** Rows of vectors, in the order they were added. */
export interface Rows {
  /** [n]. */
  readonly ids: BigUint64Array;
  /** [n, dimension]. */
  readonly vectors: Float32Array;
  /** [n]; -1: unlabelled. */
  readonly labels: Int32Array;
}

/** Bytes of vectors in a segment at most: a file is read whole, and Node reads 2 GiB at most. */
const segmentBytes = 256 * 1024 * 1024;

const manifestSchema = z.object({
  version: z.literal(1),
  dimension: z.number().int().min(1).max(65_536),
  description: z.string(),
  createTime: z.iso.datetime(),
  nextSegment: z.number().int().min(0),
  segments: z.array(z.object({ key: z.string(), sha256: z.string(), rows: z.number().int().min(1) })),
});

/** What an index consists of; replaced as a whole, so that an Upsert is seen whole or not at all. */
export type Manifest = z.output<typeof manifestSchema>;

/** Key of the manifest of an index. */
export const manifestKey = (indexId: string): string => `indexes/${indexId}/index.json`;

/** Prefix of the keys of an index's segments. */
export const segmentPrefix = (indexId: string): string => `indexes/${indexId}/segments/`;

/** Reads a manifest. DATA_LOSS, naming the file, when it is damaged. */
export async function readManifest(store: ArtifactStore, indexId: string): Promise<Manifest> {
  const key = manifestKey(indexId);
  try {
    return manifestSchema.parse(JSON.parse(Buffer.from(await store.get(key)).toString('utf8')));
  } catch (cause) {
    throw damagedFile(key, 'its manifest does not hold together', cause);
  }
}

/** Replaces the manifest; when this has returned, the index is what the manifest says, also after a crash. */
export async function writeManifest(store: ArtifactStore, indexId: string, manifest: Manifest): Promise<void> {
  await store.put(manifestKey(indexId), Buffer.from(`${JSON.stringify(manifest, null, 1)}\n`));
}

/** Writes `rows` as segments after those of `manifest`, and returns the manifest that names them too, not yet written. */
export async function writeSegments(
  store: ArtifactStore,
  indexId: string,
  manifest: Manifest,
  rows: Rows,
): Promise<Manifest> {
  const { dimension } = manifest;
  const step = Math.max(1, Math.floor(segmentBytes / (4 * dimension)));
  const segments = [...manifest.segments];
  let { nextSegment } = manifest;
  for (let start = 0; start < rows.ids.length; start += step) {
    const end = Math.min(start + step, rows.ids.length);
    // The number of an unfinished write is taken again by the next one, which replaces what is left of it.
    const key = `${segmentPrefix(indexId)}${String(nextSegment++).padStart(8, '0')}.safetensors`;
    const { sha256 } = await store.put(key, encodeRows(rows, start, end, dimension));
    segments.push({ key, sha256, rows: end - start });
  }
  return { ...manifest, segments, nextSegment };
}

/** Reads one segment. DATA_LOSS, naming the file, when it is absent or damaged. */
export async function readSegment(
  store: ArtifactStore,
  { key, sha256, rows }: Manifest['segments'][number],
  dimension: number,
): Promise<Rows> {
  let tensors;
  try {
    tensors = decodeSafetensors(await store.get(key, sha256), key).tensors;
  } catch (cause) {
    throw damagedFile(key, cause instanceof Error ? cause.message : String(cause), cause);
  }
  const ids = tensors.get('ids')?.data;
  const vectors = tensors.get('vectors')?.data;
  const labels = tensors.get('labels')?.data;
  const sound =
    ids instanceof BigInt64Array &&
    vectors instanceof Float32Array &&
    labels instanceof Int32Array &&
    ids.length === rows &&
    labels.length === rows &&
    vectors.length === rows * dimension;
  if (!sound) throw damagedFile(key, `it does not hold ${rows} rows of ${dimension} numbers`);
  return { ids: new BigUint64Array(ids.buffer, ids.byteOffset, ids.length), vectors, labels };
}

function encodeRows({ ids, vectors, labels }: Rows, start: number, end: number, dimension: number): Uint8Array {
  // safetensors readers agree on I64 only: the same 64 bits, read as unsigned again.
  const signed = new BigInt64Array(ids.buffer, ids.byteOffset + 8 * start, end - start);
  const part = vectors.subarray(start * dimension, end * dimension);
  return encodeSafetensors({
    ids: { dtype: 'I64', shape: [end - start], data: signed },
    vectors: { dtype: 'F32', shape: [end - start, dimension], data: part },
    labels: { dtype: 'I32', shape: [end - start], data: labels.subarray(start, end) },
  });
}

function damagedFile(key: string, problem: string, cause?: unknown): KindredError {
  return new KindredError(
    'DATA_LOSS',
    `${key} cannot be used: ${problem}; restore it, or delete the index and fill it again`,
    {
      resource: { type: 'artifact', name: key },
      cause,
    },
  );
}
