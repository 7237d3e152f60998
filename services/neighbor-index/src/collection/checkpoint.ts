// Checkpoint: what grew becomes immutable files, the manifest names them, the log before it goes.
import type { Disk } from '../storage/disk.js';
import type { WriteLog } from '../storage/write-log.js';
import type { Contents, SealedPart } from './contents.js';
import { createGrowingPart, type GrowingPart } from './growing-part.js';
import { deadPath, segmentPath, writeFileSynced, writeManifest, type Manifest, type SegmentEntry } from './manifest.js';
import type { HoldMemory } from './maintenance.js';
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
export async function checkpoint(contents: Contents, files: Files, hold: HoldMemory): Promise<void> {
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
  let installed = false;
  try {
    for (const growing of frozen) {
      const number = takeNumber(files);
      // Texts are copied once to be written. Never refused: what is written lets the log go.
      const copies = hold(textBytesOf(growing), 'a checkpoint', 'none');
      try {
        const bytes = await writeSegment(disk, segmentPath(folder, number, 'points'), await columnsOf(growing));
        written.push({ growing, entry: { number, rows: growing.rows, bytes, index: null } });
      } finally {
        copies.release();
      }
    }
    const sealed = contents.sealed.map((one, i) => ({ ...one, saved: saved[i] ?? null }));
    const fresh = written.map(({ growing, entry }, i) => ({
      part: growing as Part,
      entry,
      saved: saved[contents.sealed.length + i] ?? null,
    }));
    const next = [...sealed, ...fresh];
    const manifest = { ...files.manifest, sequence: String(sequence), firstLog: firstFile };
    await install(next, manifest, contents, files, () => {
      installed = true;
      contents.frozen = contents.frozen.filter((one) => !frozen.includes(one));
    });
  } catch (thrown) {
    // Once it is in its place, the manifest names them.
    for (const { entry } of installed ? [] : written)
      await disk.remove(segmentPath(folder, entry.number, 'points')).catch(() => {});
    throw thrown;
  }
  await log.removeBefore(firstFile);
}

/** A number that no file of the collection has had, also where writing one failed. */
export function takeNumber(files: Files): number {
  const number = files.manifest.nextNumber;
  files.manifest = { ...files.manifest, nextNumber: number + 1 };
  return number;
}

/**
 * Makes `sealed` the collection's parts, on disk and then in memory; files that it no longer names are removed. `swap` is
 * called in the same turn as the change in memory. An error after `swap`: the change is made, but a loss of power may undo
 * it; so what was before is kept on the disk.
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
  const number = takeNumber(files);
  const whole = bits.map((one, i) => one ?? new Uint8Array(Math.ceil(sealed[i]!.entry.rows / 8)).fill(0xff));
  let installed = false;
  try {
    const dead = anyDead
      ? { number, ...(await writeFileSynced(disk, deadPath(folder, number), Buffer.concat(whole))) }
      : null;
    const { nextNumber } = files.manifest;
    const next: Manifest = { ...manifest, nextNumber, segments: sealed.map(({ entry }) => entry), dead };
    await disk.syncFolder(`${folder}/segments`);
    await writeManifest(disk, folder, next, () => {
      installed = true;
      files.manifest = next;
      contents.sealed = sealed;
      swap();
    });
  } catch (thrown) {
    if (!installed) await disk.remove(deadPath(folder, number)).catch(() => {});
    throw thrown;
  }
  await removeUnnamed(old, files);
}

/** What cannot be removed now is removed at the next start. */
async function removeUnnamed(old: Manifest, { disk, folder, manifest }: Files): Promise<void> {
  const named = new Set(manifest.segments.map(({ number }) => number));
  const paths = old.segments
    .filter(({ number }) => !named.has(number))
    .flatMap(({ number }) => [segmentPath(folder, number, 'points'), segmentPath(folder, number, 'index')]);
  if (old.dead !== null && old.dead.number !== manifest.dead?.number) paths.push(deadPath(folder, old.dead.number));
  for (const path of paths) await disk.remove(path).catch(() => {});
}

/** Bytes of a part's payloads and text ids, about. */
export function textBytesOf(part: Part): number {
  let bytes = 0;
  for (let row = 0; row < part.rows; row++) bytes += part.payloadBytes(row) + (part.texts?.[row]?.length ?? 0);
  return bytes;
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
