// Making a collection's folder, and reading it at a start: manifest, segments, indexes, then the log.
import { randomBytes } from 'node:crypto';
import { loadIndex, type SegmentIndex } from '@kindred/faiss-native';
import { KindredError } from '@kindred/errors';
import type { Quotas } from '../engine/quotas.js';
import type { CollectionSpec } from '../engine/spec.js';
import { metrics } from '../metrics.js';
import type { Disk } from '../storage/disk.js';
import { recoverLog } from '../storage/log-recovery.js';
import { logHeaderBytes, openWriteLog } from '../storage/write-log.js';
import { applyChange, emptyContents, type Contents, type SealedPart } from './contents.js';
import type { Files } from './checkpoint.js';
import { indexPlan } from './index-plan.js';
import {
  deadPath,
  manifestPath,
  readDescribed,
  readManifest,
  segmentPath,
  unfinishedPath,
  writeManifest,
  type Manifest,
  type SegmentEntry,
} from './manifest.js';
import type { Part } from './part.js';
import { damagedFile, partOf, readSegment, type Columns } from './segment-file.js';

/** A collection's memory and disk sides. */
export interface OpenedFiles {
  readonly contents: Contents;
  readonly files: Files;
  /** What was read, dropped and is to be built again, for people. */
  readonly notes: readonly string[];
}

/** What reading takes, and who is told what. */
export interface OpenOptions {
  /** Asked for the memory of all that is read. */
  readonly quotas: Quotas;
  readonly onError: (error: unknown) => void;
  /** Told when the log can no longer be written. */
  readonly onBroken: () => void;
  /** Told of each segment that was read: rows so far, rows in all segments. */
  readonly onProgress: (rows: number, total: number) => void;
}

/**
 * Writes an empty collection; a crash before the end leaves a folder without a manifest, which is no collection.
 * ALREADY_EXISTS, the folder as it was, where there is one.
 */
export async function makeFiles(disk: Disk, folder: string, spec: CollectionSpec, createTime: Date): Promise<void> {
  if ((await disk.list(folder)).includes('manifest.json')) {
    throw new KindredError('ALREADY_EXISTS', `${folder} holds a collection; delete it first, or choose another name`, {
      resource: { type: 'file', name: manifestPath(folder) },
    });
  }
  await disk.removeFolder(folder);
  for (const path of [folder, `${folder}/log`, `${folder}/segments`]) await disk.makeFolder(path);
  await writeManifest(disk, folder, newManifest(spec, createTime));
}

/**
 * Removes a collection's folder. A crash leaves a whole collection, or a folder that {@link isNoCollection}; where there was no
 * manifest to say so, what is left stays damaged. `gone` is called once it is no collection any more.
 */
export async function removeFiles(disk: Disk, folder: string, gone: () => void): Promise<void> {
  if ((await disk.list(folder)).includes('manifest.json')) {
    await disk.rename(manifestPath(folder), unfinishedPath(folder));
    await disk.syncFolder(folder);
  }
  gone();
  for (const path of [`${folder}/segments`, `${folder}/log`]) await disk.removeFolder(path);
  // The mark goes last, also on the disk: points without it and without a manifest would be damage.
  if ((await disk.list(folder)).length > 0) await disk.syncFolder(folder);
  await disk.removeFolder(folder);
}

/**
 * Whether a folder was left by making or deleting a collection in part: it was never acknowledged, or its deletion was.
 * DATA_LOSS, naming the manifest, where it is missing from a collection that has points.
 */
export async function isNoCollection(disk: Disk, folder: string): Promise<boolean> {
  const names = await disk.list(folder);
  if (names.includes('manifest.json')) return false;
  if (names.includes('unfinished')) return true;
  const sizes = await logFilesOf(disk, folder);
  if ((await disk.list(`${folder}/segments`)).length > 0 || sizes.some((size) => size > logHeaderBytes))
    throw damagedFile(manifestPath(folder), 'it is missing, and there are points');
  return true;
}

/** The manifest of an empty collection. */
export function newManifest(spec: CollectionSpec, createTime: Date): Manifest {
  return {
    version: 1,
    id: randomBytes(16).toString('hex'),
    spec,
    createTime: createTime.toISOString(),
    sequence: '0',
    firstLog: 1,
    nextNumber: 1,
    segments: [],
    dead: null,
  };
}

/**
 * Reads a collection. DATA_LOSS, naming the file, when something of it is damaged that nothing can replace;
 * RESOURCE_EXHAUSTED, before anything is read, when there is no memory for it.
 */
export async function openFiles(disk: Disk, folder: string, options: OpenOptions): Promise<OpenedFiles> {
  const manifest = await readManifest(disk, folder);
  const logs = await logFilesOf(disk, folder);
  const bytes = manifest.segments.reduce((sum, one) => sum + one.bytes + (one.index?.bytes ?? 0), 0);
  const all = bytes + logs.reduce((sum, size) => sum + size, 0);
  // What was acknowledged under the limit is read, whatever its log takes beside it; the machine alone refuses.
  const hold = options.quotas.hold(all, `reading ${folder}`, 'machine');
  try {
    return await readFiles(disk, folder, manifest, options);
  } finally {
    hold.release();
  }
}

async function readFiles(
  disk: Disk,
  folder: string,
  manifest: Manifest,
  { onError, onBroken, onProgress }: OpenOptions,
): Promise<OpenedFiles> {
  const { spec } = manifest;
  const contents = emptyContents(spec.dimension);
  const notes: string[] = [];
  const bits = await readBits(disk, folder, manifest);
  const total = manifest.segments.reduce((sum, { rows }) => sum + rows, 0);
  let read = 0;
  const sealed: SealedPart[] = [];
  for (const [i, entry] of manifest.segments.entries()) {
    const columns = await readSegment(disk, segmentPath(folder, entry.number, 'points'), spec.dimension);
    if (columns.rows !== entry.rows)
      throw damagedFile(segmentPath(folder, entry.number, 'points'), `it holds ${columns.rows} rows`);
    const saved = bits[i] ?? null;
    const part: Part = {
      ...(await partOf(columns, saved)),
      index: await readIndex(disk, folder, entry, { columns, spec, notes }),
    };
    sealed.push({ part, entry, saved });
    contents.size += part.rows - part.alive.dead;
    for (let row = 0; row < part.rows; row++) if (columns.labels[row]! >= 0 && part.alive.has(row)) contents.labelled++;
    onProgress((read += entry.rows), total);
  }
  contents.sealed = sealed;
  const id = Buffer.from(manifest.id, 'hex');
  const source = {
    disk,
    folder: `${folder}/log`,
    id,
    dimension: spec.dimension,
    firstFile: manifest.firstLog,
    afterSequence: BigInt(manifest.sequence),
  };
  const recovered = await recoverLog(source, (_, changes) => {
    for (const change of changes) applyChange(contents, change);
  });
  notes.push(...recovered.notes);
  metrics.droppedBytes.inc(recovered.droppedBytes);
  // Last: what is damaged stays whole, and the manifest must be safe before what an older one may name goes.
  await disk.syncFolder(folder);
  await removeLeftovers(disk, folder, manifest);
  const log = await openWriteLog(
    { disk, folder: `${folder}/log`, id, durability: spec.durability, onError, onBroken },
    recovered.position,
  );
  return { contents, files: { disk, folder, log, manifest }, notes };
}

/** An index that cannot be read is built again from the vectors; until then its rows are compared one by one. */
async function readIndex(
  disk: Disk,
  folder: string,
  entry: SegmentEntry,
  { columns, spec, notes }: { readonly columns: Columns; readonly spec: CollectionSpec; readonly notes: string[] },
): Promise<SegmentIndex | null> {
  const plan = indexPlan(spec.index, columns.rows);
  if (entry.index === null || plan === null) return null;
  const path = segmentPath(folder, entry.number, 'index');
  try {
    const bytes = await readDescribed(disk, path, entry.index);
    return await loadIndex(columns, plan.kind, { bytes, l2: spec.metric === 'l2' });
  } catch (thrown) {
    if (!(thrown instanceof KindredError) || thrown.code !== 'DATA_LOSS') throw thrown;
    notes.push(`${path} is damaged and is built again from the vectors (${thrown.message})`);
    return null;
  }
}

/** Bytes of each file of the log. */
async function logFilesOf(disk: Disk, folder: string): Promise<number[]> {
  const names = (await disk.list(`${folder}/log`)).filter((name) => name.endsWith('.log'));
  return Promise.all(names.map((name) => sizeOf(disk, `${folder}/log/${name}`)));
}

async function sizeOf(disk: Disk, path: string): Promise<number> {
  const file = await disk.open(path, false);
  try {
    return await file.size();
  } finally {
    await file.close();
  }
}

async function readBits(disk: Disk, folder: string, { dead, segments }: Manifest): Promise<Uint8Array[]> {
  if (dead === null) return [];
  const path = deadPath(folder, dead.number);
  const bytes = await readDescribed(disk, path, dead);
  let offset = 0;
  return segments.map(({ rows }) => bytes.subarray(offset, (offset += Math.ceil(rows / 8))));
}

/** Removes what a crash or a failed write has left. */
async function removeLeftovers(disk: Disk, folder: string, manifest: Manifest): Promise<void> {
  await disk.remove(unfinishedPath(folder));
  const named = new Set(
    manifest.segments.flatMap(({ number }) => [
      segmentPath(folder, number, 'points'),
      segmentPath(folder, number, 'index'),
    ]),
  );
  if (manifest.dead !== null) named.add(deadPath(folder, manifest.dead.number));
  for (const name of await disk.list(`${folder}/segments`)) {
    if (!named.has(`${folder}/segments/${name}`)) await disk.remove(`${folder}/segments/${name}`);
  }
  for (const name of await disk.list(`${folder}/log`)) {
    if (/^\d{8}\.log$/.test(name) && Number(name.slice(0, 8)) < manifest.firstLog)
      await disk.remove(`${folder}/log/${name}`);
  }
}
