// The write-ahead log of a collection: changes are written together, synced together, and then answered.
//
//   file    = header, 32 bytes: "KNDLOG01" · collection id, 16 bytes · 0 u32 · crc u32 of what comes before · records
//   marker  = file "acknowledged", 24 bytes: number of the log file u64 · bytes of it that were acknowledged u64 · 0 u32 · crc
//
// The marker is written after each sync and not synced itself; so a loss of power can only make it older. It tells recovery what must be sound: damage before it is
// damage, what lies behind it is a write that nobody was told of.
import { KindredError, toKindredError } from '@kindred/errors';
import { checksumOf } from './checksum.js';
import type { Disk, DiskFile } from './disk.js';
import { encodeRecord, maxRecordBytes, recordBytes, type Change } from './log-record.js';
import type { Durability } from '../engine/spec.js';
import { metrics } from '../metrics.js';

/** Bytes of the header. */
export const logHeaderBytes = 32;
/** Name of the marker file. */
export const markerName = 'acknowledged';
/** How long changes of the durability 'written' wait for their sync, in milliseconds. */
export const relaxedSyncMs = 1_000;
/** Bytes of one change at most. With {@link defaultMaxFileBytes} no file reaches the 4 GiB that are read in one piece. */
export const maxChangeBytes = 2.25 * 1024 * 1024 * 1024;
/** Bytes from which on the log goes on in a new file. */
const defaultMaxFileBytes = 1024 * 1024 * 1024;
/** Bytes of changes that are written together at most; more wait for the next turn. */
const maxGroupBytes = 64 * 1024 * 1024;
const magic = Buffer.from('KNDLOG01');

/** The log that changes are appended to. */
export interface WriteLog {
  /**
   * Appends a change of one or more records, then calls `apply` with its sequence; changes are applied in the order of their
   * sequences. As a function, `changes` is called when all changes before it are applied and none after it; what it finds then
   * still holds in `apply`. Without records nothing is written, and `apply` gets the sequence before. Returns what `apply`
   * returned once the change is durable. RESOURCE_EXHAUSTED, nothing of it kept, when there is no space, a record is larger than
   * {@link maxRecordBytes} or all are larger than {@link maxChangeBytes}; UNAVAILABLE once the disk has failed in a way that
   * leaves unknown what it holds.
   */
  append<T>(
    changes: readonly Change[] | (() => readonly Change[]),
    apply: (sequence: bigint, changes: readonly Change[]) => T,
  ): Promise<T>;
  /** Goes on in a new file; `frozen` is called between two groups: all changes before it are in older files. */
  rotate(frozen: () => void): Promise<{ readonly firstFile: number }>;
  /** Removes files before this one. */
  removeBefore(file: number): Promise<void>;
  /** Bytes in all files that are left. */
  bytes(): number;
  readonly lastSequence: bigint;
  /** Writes and syncs what waits, then closes the file. */
  close(): Promise<void>;
}

/** A change whose records are known. */
interface Prepared extends Waiting {
  readonly changes: readonly Change[];
  readonly bytes: number;
}

/** A change of the log's turn to a new file. */
interface Rotation {
  readonly frozen: () => void;
  readonly ended: (error: unknown) => void;
}

/** Where a log goes on. */
export interface LogPosition {
  /** Number of the file. */
  readonly file: number;
  /** Bytes of it that are sound; 0: it is to be made. */
  readonly length: number;
  readonly lastSequence: bigint;
  /** Bytes of older files that still count. */
  readonly olderBytes: readonly (readonly [file: number, bytes: number])[];
}

/** What a log lives on. */
export interface LogParts {
  readonly disk: Disk;
  readonly folder: string;
  /** 16 bytes: a file of another collection is not taken for this one's. */
  readonly id: Uint8Array;
  readonly durability: Durability;
  /** A file that has a change already does not grow beyond this. @default 1 GiB */
  readonly maxFileBytes?: number;
  readonly onError: (error: unknown) => void;
  /** Told once nobody knows any more what the disk holds. @default nobody */
  readonly onBroken?: () => void;
}

interface Waiting {
  readonly changes: readonly Change[] | (() => readonly Change[]);
  readonly apply: (sequence: bigint, changes: readonly Change[]) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Name of a log file. */
export const logName = (file: number): string => `${String(file).padStart(8, '0')}.log`;

/** The header of a collection's log files. */
export function logHeader(id: Uint8Array): Uint8Array {
  const header = new Uint8Array(logHeaderBytes);
  header.set(magic);
  header.set(id, 8);
  new DataView(header.buffer).setUint32(28, checksumOf([header.subarray(0, 28)]), true);
  return header;
}

/** The marker: `length` bytes of log file `file` were acknowledged. */
export function markerBytes(file: number, length: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(24));
  view.setBigUint64(0, BigInt(file), true);
  view.setBigUint64(8, BigInt(length), true);
  view.setUint32(20, checksumOf([new Uint8Array(view.buffer, 0, 20)]), true);
  return new Uint8Array(view.buffer);
}

/** Opens the log for appending. Whatever lies behind `position` is cut off. */
export async function openWriteLog(parts: LogParts, position: LogPosition): Promise<WriteLog> {
  const { disk, folder, id, durability, maxFileBytes = defaultMaxFileBytes, onError } = parts;
  const breakOff = (error: KindredError): KindredError => {
    broken ??= error;
    parts.onBroken?.();
    return error;
  };
  const older = new Map(position.olderBytes);
  let number = position.file;
  let length = position.length;
  let sequence = position.lastSequence;
  let broken: KindredError | null = null;
  const waiting: Waiting[] = [];
  let working: Promise<void> | null = null;
  let unsynced = false;
  let syncWanted = false;
  let timer: NodeJS.Timeout | null = null;
  let rotation: Rotation | null = null;
  const marker = await openMarker(disk, `${folder}/${markerName}`);
  let file = await openFile(number);

  async function openFile(at: number): Promise<DiskFile> {
    const path = `${folder}/${logName(at)}`;
    const opened = await disk.open(path, length === 0);
    try {
      if (length === 0) {
        const header = logHeader(id);
        await opened.write([header], 0);
        length = header.byteLength;
      } else {
        await opened.truncate(length);
      }
      await opened.sync();
      await disk.syncFolder(folder);
      await marker.write([markerBytes(at, length)], 0);
      return opened;
    } catch (thrown) {
      await opened.close().catch(() => {});
      throw thrown;
    }
  }

  const sync = async (): Promise<void> => {
    if (!unsynced || broken !== null) return;
    const end = metrics.syncSeconds.startTimer();
    try {
      await file.sync();
      end();
      unsynced = false;
      // Behind the sync, never before it: what the marker covers must be on the disk even if the power fails.
      await marker.write([markerBytes(number, length)], 0);
    } catch (thrown) {
      // After a failed sync the system may have dropped the pages that it could not write: nobody knows what the disk holds.
      throw breakOff(failed('the log could not be synced', thrown));
    }
  };
  /** Writes a group; on an error the file is as before it. */
  const write = async (group: readonly Prepared[]): Promise<void> => {
    let next = sequence;
    const bytes = group.flatMap(({ changes }) => {
      next++;
      return changes.flatMap((change, i) => encodeRecord({ sequence: next, last: i === changes.length - 1, change }));
    });
    const size = bytes.reduce((sum, { byteLength }) => sum + byteLength, 0);
    try {
      await file.write(bytes, length);
    } catch (thrown) {
      await file.truncate(length).catch((cause: unknown) => {
        breakOff(failed('the log could not be cut back after a failed write', cause));
      });
      throw toKindredError(thrown);
    }
    length += size;
    unsynced = true;
  };
  const commit = async (group: readonly Prepared[]): Promise<void> => {
    const before = length;
    try {
      if (broken !== null) throw broken;
      await write(group);
      if (durability === 'synced') await sync();
    } catch (thrown) {
      if (length !== before) length = before;
      for (const { reject } of group) reject(thrown);
      return;
    }
    for (const { apply, changes, resolve, reject } of group) {
      try {
        resolve(apply(++sequence, changes));
      } catch (thrown) {
        reject(thrown);
      }
    }
    if (durability === 'written') timer ??= setTimeout(syncSoon, relaxedSyncMs).unref();
  };
  const syncSoon = (): void => {
    timer = null;
    syncWanted = true;
    start();
  };
  const turnOver = async ({ frozen, ended }: Rotation): Promise<void> => {
    const before = { file, number, length };
    try {
      await sync();
      if (broken !== null) throw broken;
      length = 0;
      number++;
      file = await openFile(number);
      older.set(before.number, before.length);
      await before.file.close().catch(onError);
      frozen();
      ended(null);
    } catch (thrown) {
      ({ file, number, length } = before);
      // A newer file that came back after a loss of power would say that this one was synced whole.
      await disk
        .remove(`${folder}/${logName(number + 1)}`)
        .then(() => disk.syncFolder(folder))
        .catch((cause: unknown) => {
          breakOff(failed('a file of the log that was begun could not be removed', cause));
        });
      await marker.write([markerBytes(number, length)], 0).catch(onError);
      ended(toKindredError(thrown));
    }
  };
  const work = async (): Promise<void> => {
    while (waiting.length > 0 || rotation !== null || syncWanted) {
      if (syncWanted) await sync().catch(onError);
      syncWanted = false;
      const wanted = rotation;
      rotation = null;
      if (wanted !== null) await turnOver(wanted);
      const group = takeGroup();
      const bytes = group.reduce((sum, one) => sum + one.bytes, 0);
      let refusal: unknown = null;
      if (length > logHeaderBytes && length + bytes > maxFileBytes)
        await turnOver({ frozen: () => {}, ended: (error) => (refusal = error) });
      if (refusal !== null) for (const { reject } of group) reject(refusal);
      else if (group.length > 0) await commit(group);
    }
  };
  /** Takes changes to write together; one that looks at what is there comes first, when all before it are applied. */
  const takeGroup = (): Prepared[] => {
    const group: Prepared[] = [];
    let bytes = 0;
    while (waiting.length > 0 && (group.length === 0 || bytes < maxGroupBytes)) {
      const next = waiting[0]!;
      if (typeof next.changes === 'function' && group.length > 0) break;
      waiting.shift();
      try {
        const prepared = prepare(next);
        if (prepared.changes.length === 0) next.resolve(next.apply(sequence, []));
        else group.push(prepared);
        bytes += prepared.bytes;
      } catch (thrown) {
        next.reject(thrown);
      }
    }
    return group;
  };
  const start = (): void => {
    if (waiting.length === 0 && rotation === null && !syncWanted) return;
    working ??= work().finally(() => {
      working = null;
      start();
    });
  };

  return {
    append(changes, apply) {
      return new Promise((resolve, reject) => {
        waiting.push({ changes, apply, resolve: resolve as (value: unknown) => void, reject });
        start();
      });
    },
    async rotate(frozen) {
      await new Promise<void>((resolve, reject) => {
        rotation = { frozen, ended: (error) => (error === null ? resolve() : reject(error)) };
        start();
      });
      return { firstFile: number };
    },
    async removeBefore(before) {
      for (const old of [...older.keys()].filter((key) => key < before)) {
        await disk.remove(`${folder}/${logName(old)}`);
        older.delete(old);
      }
    },
    bytes: () => [...older.values()].reduce((sum, bytes) => sum + bytes, length),
    get lastSequence() {
      return sequence;
    },
    async close() {
      if (timer !== null) clearTimeout(timer);
      while (working !== null) await working;
      await sync().catch(onError);
      broken ??= new KindredError('UNAVAILABLE', 'the collection is closed');
      await file.close();
      await marker.close();
    },
  };
}

/** Finds out a change's records, and refuses what recovery would take for damage or could not read. */
function prepare(waiting: Waiting): Prepared {
  const changes = typeof waiting.changes === 'function' ? waiting.changes() : waiting.changes;
  let bytes = 0;
  for (const change of changes) {
    const size = recordBytes(change);
    if (size > maxRecordBytes) throw tooLarge(size, 'one record of the log', maxRecordBytes);
    bytes += size;
  }
  if (bytes > maxChangeBytes) throw tooLarge(bytes, 'one change', maxChangeBytes);
  return { ...waiting, changes, bytes };
}

function tooLarge(got: number, where: string, allowed: number): KindredError {
  const told = `got ${got} bytes in ${where}; allowed: ${allowed}; send fewer points at a time`;
  return new KindredError('RESOURCE_EXHAUSTED', told);
}

async function openMarker(disk: Disk, path: string): Promise<DiskFile> {
  return disk.open(path, false).catch((thrown: unknown) => {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return disk.open(path, true);
    throw thrown;
  });
}

function failed(what: string, cause: unknown): KindredError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new KindredError('UNAVAILABLE', `${what} (${reason}); restart the service once its disk is sound`, { cause });
}
