// Content to files: gathered in blocks that a thread writes while more comes.
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { createWorkerPool, workerEntry, type WorkerPool } from '@kindred/workers';
import type * as writer from './save-file.worker.js';

/** What is handed to the thread at once, at least. */
const blockBytes = 2 ** 20;
/** Blocks of a file that are in memory. What fits into them needs no thread. */
const blocksAhead = 8;
/** Blocks that the thread has at hand, so that it need not wait for this side to notice that one has been written. */
const callsAhead = 4;
/** A smaller part is copied: to move it costs more. */
const movedBytes = 2 ** 16;
/**
 * So much is sent to the disk while more comes. Where it all were left to the end, a rename over another file would wait
 * for it (ext4's `auto_da_alloc`): 0.25 s for 512 MiB in place of 0.1 s.
 */
const syncBytes = 64 * 2 ** 20;

/**
 * Writes content to a file that is there whole or not at all: beside its place, as `PATH.part`, then renamed over what
 * is there. Not synced: a crash of the machine may lose it. Answers the bytes written.
 *
 * Each part must be new memory, which is given away: one that fills its memory moves to a thread, and is empty for whoever
 * still has it. As garbage of this thread, 512 MiB of them would make V8 mark its heap eight times and more.
 * @throws whatever `content` or the file system throws.
 */
export async function saveFile(path: string, content: AsyncIterable<Uint8Array>): Promise<number> {
  const part = `${path}.part`;
  const bytes = await replaceFile(part, content, true);
  await rename(part, path);
  return bytes;
}

/**
 * Writes content to a file, in place of what is there; a file that cannot be written to its end is removed. The memory
 * of a part may be used again when the next one is asked for. Answers and errors as of {@link saveFile}.
 */
export function writeBlocks(path: string, content: AsyncIterable<Uint8Array>): Promise<number> {
  return replaceFile(path, content, false);
}

async function replaceFile(path: string, content: AsyncIterable<Uint8Array>, mayMove: boolean): Promise<number> {
  const file = await open(path, 'w');
  try {
    return await writeTo(file, content, mayMove);
  } catch (thrown) {
    await rm(path, { force: true });
    throw thrown;
  } finally {
    await file.close();
  }
}

/** Bytes of a file that are in memory, in pieces that are nobody else's. */
interface Block {
  readonly pieces: readonly Uint8Array<ArrayBuffer>[];
  readonly position: number;
}

async function writeTo(file: FileHandle, content: AsyncIterable<Uint8Array>, mayMove: boolean): Promise<number> {
  const gathering = createGathering(mayMove);
  /** Until there are too many of them. */
  const kept: Block[] = [];
  /** Blocks on their way to the file, oldest first. */
  const going: Promise<void>[] = [];
  const send = (block: Block): void => {
    const writing = writeByThread(file, block);
    // Met where it is next waited for.
    writing.catch(() => {});
    going.push(writing);
  };
  // An error of it leaves this true, and comes at the end.
  let isSyncing = false;
  let syncing: Promise<unknown> = Promise.resolve();
  let synced = 0;
  const syncEarly = (position: number): void => {
    if (isSyncing || position - synced < syncBytes) return;
    isSyncing = true;
    synced = position;
    syncing = file.datasync().then(() => (isSyncing = false));
    syncing.catch(() => {});
  };
  try {
    for await (const part of content) {
      gathering.add(part);
      if (gathering.bytes < blockBytes) continue;
      const block = gathering.take();
      if (going.length > 0) send(block);
      else kept.push(block);
      if (kept.length === blocksAhead) for (const first of kept.splice(0)) send(first);
      if (going.length === blocksAhead) await going.shift();
      syncEarly(block.position);
    }
    const rest = gathering.bytes > 0 ? [...kept, gathering.take()] : kept;
    for (const block of rest) {
      if (going.length > 0) send(block);
      else await writeHere(file, block);
    }
    await Promise.all([...going, syncing]);
    return gathering.position;
  } finally {
    // The file is closed next, which must not happen under a write.
    await Promise.allSettled([...going, syncing]);
  }
}

/** Parts that are not a block yet. */
interface Gathering {
  /** Of those parts. */
  readonly bytes: number;
  /** In the file, where the next block ends. */
  readonly position: number;
  add(part: Uint8Array): void;
  take(): Block;
}

function createGathering(mayMove: boolean): Gathering {
  let pieces: Uint8Array<ArrayBuffer>[] = [];
  let copies = new Uint8Array(0);
  let copied = 0;
  let [bytes, position] = [0, 0];
  const endCopies = (): void => {
    if (copied === 0) return;
    pieces.push(copies.subarray(0, copied));
    [copies, copied] = [new Uint8Array(0), 0];
  };
  const copy = (part: Uint8Array): void => {
    for (let from = 0; from < part.length;) {
      if (copied === copies.length) {
        endCopies();
        copies = new Uint8Array(blockBytes);
      }
      const some = part.subarray(from, from + copies.length - copied);
      copies.set(some, copied);
      copied += some.length;
      from += some.length;
    }
  };
  return {
    get bytes() {
      return bytes;
    },
    get position() {
      return position;
    },
    add(part) {
      bytes += part.length;
      position += part.length;
      if (!mayMove || part.length < movedBytes || !isWhole(part)) return copy(part);
      // Its own memory; the rest of the copies' is used on.
      if (copied > 0) pieces.push(copies.slice(0, copied));
      copied = 0;
      pieces.push(part);
    },
    take() {
      endCopies();
      const block = { pieces, position: position - bytes };
      [pieces, bytes] = [[], 0];
      return block;
    },
  };
}

/** Whether there is nothing else in its memory. */
function isWhole(part: Uint8Array): part is Uint8Array<ArrayBuffer> {
  return part.buffer instanceof ArrayBuffer && part.length === part.buffer.byteLength;
}

let pool: WorkerPool<typeof writer> | null = null;

async function writeByThread(file: FileHandle, { pieces, position }: Block): Promise<void> {
  // Kept for files to come; a thread that has nothing to do holds no process.
  pool ??= createWorkerPool({
    entry: workerEntry(import.meta.url, 'save-file'),
    callsPerThread: callsAhead,
    // Each file has a few under way, and then waits.
    maxQueued: Infinity,
  });
  const transfer = pieces.map(({ buffer }) => buffer);
  const rest = await pool.run('write', { fd: file.fd, pieces, position }, { transfer });
  // What the thread could not write is tried here, so that its error is the system's own.
  if (rest !== null) await writeHere(file, rest);
}

async function writeHere(file: FileHandle, { pieces, position }: Block): Promise<void> {
  let at = position;
  for (const piece of pieces) {
    for (let from = 0; from < piece.length;) {
      const { bytesWritten } = await file.write(piece, from, piece.length - from, at);
      from += bytesWritten;
      at += bytesWritten;
    }
  }
}
