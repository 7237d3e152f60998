// What a collection consists of on disk: the manifest, replaced as a whole, and the rows that were dead when it was written.
//
//   collection folder = manifest.json · log/ · segments/<n>.points, <n>.index · segments/dead-<n>
//   one that is being restored or deleted has the file "unfinished" and no manifest.json
import { z } from 'zod';
import { collectionSpecSchema } from '../engine/spec.js';
import { checksumInTurns } from '../storage/checksum.js';
import { readWhole, replaceWhole, type Disk } from '../storage/disk.js';
import { openText, sealText } from '../storage/sealed-text.js';
import { damagedFile } from './segment-file.js';

const fileSchema = z.object({ bytes: z.number().int(), crc: z.number().int() });

const manifestSchema = z.object({
  version: z.literal(1),
  id: z.string().regex(/^[0-9a-f]{32}$/),
  spec: collectionSpecSchema,
  createTime: z.iso.datetime(),
  /** Changes up to this one are in the segments. */
  sequence: z.string().regex(/^\d+$/),
  /** The first log file with changes after it. */
  firstLog: z.number().int().min(1),
  nextNumber: z.number().int().min(1),
  segments: z.array(
    z.object({
      number: z.number().int(),
      rows: z.number().int().min(1),
      bytes: z.number().int(),
      /** Null: no index. */
      index: fileSchema.nullable(),
    }),
  ),
  /** Bits of all segments in their order, those of each from a whole byte on; null: no row was dead. */
  dead: fileSchema.extend({ number: z.number().int() }).nullable(),
});

/** A collection's manifest. */
export type Manifest = z.output<typeof manifestSchema>;

/** One of its segments. */
export type SegmentEntry = Manifest['segments'][number];

/** Path of a collection's manifest below its folder. */
export const manifestPath = (folder: string): string => `${folder}/manifest.json`;

/** Path of the file that says of a folder without a manifest that it is no collection, yet or any more. */
export const unfinishedPath = (folder: string): string => `${folder}/unfinished`;

/** Path of a segment's columns or index. */
export const segmentPath = (folder: string, number: number, part: 'points' | 'index'): string =>
  `${folder}/segments/${String(number).padStart(8, '0')}.${part}`;

/** Path of the bits of rows that are alive. */
export const deadPath = (folder: string, number: number): string =>
  `${folder}/segments/dead-${String(number).padStart(8, '0')}`;

/** Reads a manifest; the last line is its checksum. DATA_LOSS, naming the file, when it is damaged. */
export async function readManifest(disk: Disk, folder: string): Promise<Manifest> {
  const path = manifestPath(folder);
  const bytes = await readWhole(disk, path);
  const text = await openText(bytes);
  if (text === null) throw damagedFile(path, 'its checksum does not hold');
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw damagedFile(path, 'it is no manifest of this version', cause);
  }
}

/**
 * Replaces the manifest. When this has returned, the collection is what it says, also after a loss of power; from the call
 * of `renamed` on it is that as long as the machine runs.
 */
export async function writeManifest(
  disk: Disk,
  folder: string,
  manifest: Manifest,
  renamed?: () => void,
): Promise<void> {
  await replaceWhole(disk, manifestPath(folder), [await manifestBytes(manifest)], renamed);
}

/** The manifest as it is on disk. */
export function manifestBytes(manifest: Manifest): Promise<Uint8Array> {
  return sealText(`${JSON.stringify(manifest, null, 1)}\n`);
}

/** Writes and syncs a file beside no other; returns what the manifest says of it. */
export async function writeFileSynced(
  disk: Disk,
  path: string,
  bytes: Uint8Array,
): Promise<z.output<typeof fileSchema>> {
  const file = await disk.open(path, true);
  try {
    await file.write([bytes], 0);
    await file.sync();
  } finally {
    await file.close();
  }
  return { bytes: bytes.byteLength, crc: await checksumInTurns(bytes) };
}

/** Reads a file that the manifest describes. DATA_LOSS, naming it, when it is missing or damaged. */
export async function readDescribed(
  disk: Disk,
  path: string,
  expected: z.output<typeof fileSchema>,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await readWhole(disk, path).catch((cause: unknown) => {
    throw damagedFile(path, 'it cannot be read', cause);
  });
  if (bytes.byteLength !== expected.bytes)
    throw damagedFile(path, `it has ${bytes.byteLength} bytes, not ${expected.bytes}`);
  if ((await checksumInTurns(bytes)) !== expected.crc) throw damagedFile(path, 'its checksum does not hold');
  return bytes;
}
