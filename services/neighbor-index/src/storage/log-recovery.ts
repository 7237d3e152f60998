// Reading a collection's log at a start: what was acknowledged must be sound, what lies behind it may be torn.
import { KindredError } from '@kindred/errors';
import { checksumOf } from './checksum.js';
import { readWhole, type Disk } from './disk.js';
import { decodeRecord, RecordProblem, type Change } from './log-record.js';
import { logHeader, logHeaderBytes, markerName, type LogPosition } from './write-log.js';

/** What is read, and from where. */
export interface LogSource {
  readonly disk: Disk;
  readonly folder: string;
  readonly id: Uint8Array;
  readonly dimension: number;
  /** Older files are of no meaning. */
  readonly firstFile: number;
  /** Changes up to this one are in the segments. */
  readonly afterSequence: bigint;
}

/** What recovery found. */
export interface Recovered {
  /** Where the log goes on. */
  readonly position: LogPosition;
  /** What was read and what was dropped, for people. */
  readonly notes: readonly string[];
  /** Bytes of the log that were never acknowledged and not whole. */
  readonly droppedBytes: number;
}

/**
 * Hands every whole change to `apply`, in order. DATA_LOSS, naming the file and the byte, for damage to what was
 * acknowledged; what was not (a torn tail, a change without its last record) is dropped, and the notes say so.
 */
export async function recoverLog(
  source: LogSource,
  apply: (sequence: bigint, changes: readonly Change[]) => void | Promise<void>,
): Promise<Recovered> {
  const { disk, folder, firstFile } = source;
  const files = (await disk.list(folder))
    .flatMap((name) => (/^\d{8}\.log$/.test(name) ? [Number(name.slice(0, 8))] : []))
    .filter((file) => file >= firstFile)
    .sort((a, b) => a - b);
  const marker = await readMarker(disk, folder);
  const notes: string[] =
    marker === null ? [`${folder}/${markerName} is not readable: a damaged end of the log counts as torn`] : [];
  const missing = missingFile(files, firstFile, marker);
  if (missing !== null) throw damaged(`${folder}/${nameOf(missing)}`, 'it is missing');
  let lastSequence = source.afterSequence;
  let length = 0;
  let droppedBytes = 0;
  const olderBytes: [number, number][] = [];
  for (const [i, file] of files.entries()) {
    const newest = i === files.length - 1;
    // Older files were synced whole before a newer one was begun.
    const acknowledged =
      !newest || (marker !== null && file < marker.file) ? Infinity : marker?.file === file ? marker.length : 0;
    const read = await readFile(source, file, { acknowledged, lastSequence }, apply);
    lastSequence = read.lastSequence;
    notes.push(...read.notes);
    droppedBytes += read.dropped;
    if (newest) length = read.length;
    else olderBytes.push([file, read.length]);
  }
  const file = files.at(-1) ?? firstFile;
  return { position: { file, length, lastSequence, olderBytes }, notes, droppedBytes };
}

interface Expected {
  /** Bytes that must be sound; Infinity: all. */
  readonly acknowledged: number;
  readonly lastSequence: bigint;
}

async function readFile(
  { disk, folder, id, dimension }: LogSource,
  file: number,
  { acknowledged, lastSequence }: Expected,
  apply: (sequence: bigint, changes: readonly Change[]) => void | Promise<void>,
): Promise<{ length: number; lastSequence: bigint; notes: string[]; dropped: number }> {
  const path = `${folder}/${nameOf(file)}`;
  const bytes = await readWhole(disk, path);
  const header = logHeader(id);
  const sound = bytes.byteLength >= logHeaderBytes && Buffer.compare(bytes.subarray(0, logHeaderBytes), header) === 0;
  if (!sound) {
    // The header is synced before anything is acknowledged.
    if (acknowledged > 0) throw damaged(path, 'its header is not that of this collection');
    const dropped = bytes.byteLength;
    return { length: 0, lastSequence, dropped, notes: [`${path}: dropped ${dropped} bytes, the file was being made`] };
  }
  let offset = logHeaderBytes;
  let whole = logHeaderBytes;
  let changes: Change[] = [];
  let count = 0;
  let problem = '';
  while (offset < bytes.byteLength) {
    let read: ReturnType<typeof decodeRecord>;
    try {
      read = decodeRecord(bytes, offset, dimension);
    } catch (thrown) {
      if (!(thrown instanceof RecordProblem)) throw thrown;
      problem = thrown.message;
      break;
    }
    const { record, next } = read;
    if (record.sequence > lastSequence + 1n && acknowledged >= next) {
      throw damaged(path, `byte ${offset}: change ${record.sequence} follows ${lastSequence}`);
    }
    changes.push(record.change);
    offset = next;
    if (!record.last) continue;
    if (record.sequence > lastSequence) {
      await apply(record.sequence, changes);
      lastSequence = record.sequence;
      count++;
    }
    changes = [];
    whole = offset;
  }
  const limit = acknowledged === Infinity ? bytes.byteLength : acknowledged;
  if (whole < limit) {
    const reason = problem === '' ? `it ends at byte ${bytes.byteLength}` : `byte ${offset}: ${problem}`;
    throw damaged(path, `${reason}; ${limit} bytes of it were acknowledged`);
  }
  const notes = [`${path}: read ${count} changes, ${whole} bytes`];
  if (whole < bytes.byteLength) {
    const what = problem === '' ? 'a change without its end' : problem;
    notes.push(
      `${path}: dropped ${bytes.byteLength - whole} bytes from byte ${whole} on, never acknowledged (${what})`,
    );
  }
  return { length: whole, lastSequence, notes, dropped: bytes.byteLength - whole };
}

/** Null: there is none that can be read. */
async function readMarker(disk: Disk, folder: string): Promise<{ file: number; length: number } | null> {
  const bytes = await readWhole(disk, `${folder}/${markerName}`).catch((thrown: unknown) => {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw thrown;
  });
  if (bytes === null || bytes.byteLength !== 24) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, 24);
  if (view.getUint32(20, true) !== checksumOf([bytes.subarray(0, 20)])) return null;
  return { file: Number(view.getBigUint64(0, true)), length: Number(view.getBigUint64(8, true)) };
}

function missingFile(
  files: readonly number[],
  firstFile: number,
  marker: { file: number; length: number } | null,
): number | null {
  for (const [i, file] of files.entries()) if (file !== firstFile + i) return firstFile + i;
  const next = firstFile + files.length;
  if (marker !== null && marker.file >= next && marker.length > 0) return next;
  return null;
}

function nameOf(file: number): string {
  return `${String(file).padStart(8, '0')}.log`;
}

function damaged(path: string, problem: string): KindredError {
  return new KindredError(
    'DATA_LOSS',
    `${path} is damaged: ${problem}; restore the collection from a snapshot, or delete it and fill it again`,
    { resource: { type: 'file', name: path } },
  );
}
