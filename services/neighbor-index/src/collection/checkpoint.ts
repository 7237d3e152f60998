// Checkpoint: what grew becomes immutable files, the manifest names them, the log before it goes.
import type { Disk } from '../storage/disk.js';
import type { WriteLog } from '../storage/write-log.js';
import type { Contents, SealedPart } from './contents.js';
import { createGrowingPart, type GrowingPart } from './growing-part.js';
import { deadPath, segmentPath, writeFileSynced, writeManifest, type Manifest, type SegmentEntry } from './manifest.js';
import { nextTurn, type Part } from './part.js';
import { writeSegment, type Columns } from './segment-file.js';

/** An open collection's disk side. */
export interface Files {
  readonly disk: Disk;
  readonly folder: string;
  readonly log: WriteLog;
  manifest: Manifest;
}

/**
 * Writes all that is in memory only. Writes and searches go on meanwhile. When it fails, nothing is lost: the log still has
 * it, and the next checkpoint begins anew.
 */
export async function checkpoint(contents: Contents, files: Files): Promise<void> {
  const { disk, folder, log } = files;
  if (
    contents.growing.rows === 0 &&
    contents.frozen.length === 0 &&
    files.manifest.sequence === String(log.lastSequence)
  )
    return;
  let sequence = 0n;
  let saved: (Uint8Array | null)[] = [];
  const { firstFile } = await log.rotate(() => {
    sequence = log.lastSequence;
    if (contents.growing.rows > 0) {
      contents.frozen = [...contents.frozen, contents.growing];
      contents.growing = createGrowingPart(contents.dimension);
    }
    saved = [...contents.sealed.map(({ part }) => part), ...contents.frozen].map(({ alive }) => alive.share());
  });
  const frozen = contents.frozen;
  const written: { growing: GrowingPart; entry: SegmentEntry }[] = [];
  let { nextNumber } = files.manifest;
  try {
    for (const growing of frozen) {
      const number = nextNumber++;
      const bytes = await writeSegment(disk, segmentPath(folder, number, 'points'), await columnsOf(growing));
      written.push({ growing, entry: { number, rows: growing.rows, bytes, index: null } });
    }
    const sealed = contents.sealed.map((one, i) => ({ ...one, saved: saved[i] ?? null }));
    const fresh = written.map(({ growing, entry }, i) => ({
      part: growing as Part,
      entry,
      saved: saved[contents.sealed.length + i] ?? null,
    }));
    const next = [...sealed, ...fresh];
    const manifest = { ...files.manifest, sequence: String(sequence), firstLog: firstFile, nextNumber };
    await install(next, manifest, contents, files, () => {
      contents.frozen = contents.frozen.filter((one) => !frozen.includes(one));
    });
  } catch (thrown) {
    for (const { entry } of written) await disk.remove(segmentPath(folder, entry.number, 'points')).catch(() => {});
    throw thrown;
  }
  await log.removeBefore(firstFile);
}

/**
 * Makes `sealed` the collection's parts, on disk and then in memory; files that it no longer names are removed. `swap` is
 * called in the same turn as the change in memory.
 */
export async function install(
  sealed: readonly SealedPart[],
  manifest: Manifest,
  contents: Contents,
  files: Files,
  swap: () => void = () => {},
): Promise<void> {
  const { disk, folder } = files;
  const old = files.manifest;
  const bits = sealed.map(({ saved, entry }) => saved?.slice(0, Math.ceil(entry.rows / 8)) ?? null);
  const anyDead = bits.some((one) => one !== null);
  const number = manifest.nextNumber;
  const whole = bits.map((one, i) => one ?? new Uint8Array(Math.ceil(sealed[i]!.entry.rows / 8)).fill(0xff));
  const dead = anyDead
    ? { number, ...(await writeFileSynced(disk, deadPath(folder, number), Buffer.concat(whole))) }
    : null;
  const next: Manifest = { ...manifest, nextNumber: number + 1, segments: sealed.map(({ entry }) => entry), dead };
  await disk.syncFolder(`${folder}/segments`);
  await writeManifest(disk, folder, next);
  files.manifest = next;
  contents.sealed = sealed;
  swap();
  await removeUnnamed(old, files);
}

async function removeUnnamed(old: Manifest, { disk, folder, manifest }: Files): Promise<void> {
  const named = new Set(manifest.segments.map(({ number }) => number));
  for (const { number } of old.segments.filter((segment) => !named.has(segment.number))) {
    await disk.remove(segmentPath(folder, number, 'points'));
    await disk.remove(segmentPath(folder, number, 'index'));
  }
  if (old.dead !== null && old.dead.number !== manifest.dead?.number)
    await disk.remove(deadPath(folder, old.dead.number));
}

/** A part's columns as files have them. */
export async function columnsOf(part: Part): Promise<Columns> {
  const { rows, dimension, vectors, ids, texts, labels } = part;
  const lengths = new Uint32Array(rows);
  const encoded: Buffer[] = [];
  for (let row = 0; row < rows; row++) {
    if (row % 50_000 === 49_999) await nextTurn();
    const text = part.payload(row);
    if (text === '') continue;
    const bytes = Buffer.from(text);
    lengths[row] = bytes.byteLength;
    encoded.push(bytes);
  }
  const payloads = encoded.length === 0 ? null : { lengths, bytes: Buffer.concat(encoded) };
  return { rows, dimension, vectors, ids, texts, labels, payloads };
}
