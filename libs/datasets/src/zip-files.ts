// Lists and reads the encoded images of a zip archive, one entry at a time: the archive is never held in memory.
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { crc32, inflateRawSync } from 'node:zlib';
import yauzl from 'yauzl';
import type { Entry } from 'yauzl';
import { isImageName } from './image-source.js';
import type { ImageCollection } from './image-source.js';
import { damagedFile } from './record-files.js';

const localHeaderBytes = 30;
const localSignature = 0x04034b50;
/** The local header's extra field may be longer than the directory's; with this much more a second read is rare. */
const extraRoomBytes = 64;
/** An encoded image of more than this is refused: a forged size must not fill the memory. */
const maxEncodedBytes = 256 * 1024 * 1024;

/** Opens a zip archive; DATA_LOSS when its directory is broken. Entries are sorted by name. */
export async function openZip(path: string): Promise<ImageCollection> {
  const entries = await readDirectory(path);
  const file = await open(path);
  const sources = entries
    .filter(({ fileName }) => isImageName(fileName))
    .sort((a, b) => (a.fileName < b.fileName ? -1 : 1))
    .map((entry) => ({
      path: `${path}:${entry.fileName}`,
      relativePath: entry.fileName,
      read: () => readEntry(file, path, entry),
    }));
  return { sources, close: () => file.close() };
}

function readDirectory(path: string): Promise<Entry[]> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error): void => reject(damagedFile(path, `is no sound zip archive: ${cause.message}`, cause));
    yauzl.open(path, { lazyEntries: true, autoClose: true }, (error, zip) => {
      if (error !== null || zip === undefined) return fail(error ?? new Error('nothing was opened'));
      const entries: Entry[] = [];
      zip.on('error', fail);
      zip.on('end', () => resolve(entries));
      zip.on('entry', (entry: Entry) => {
        entries.push(entry);
        zip.readEntry();
      });
      zip.readEntry();
    });
  });
}

/** Reads an entry with one read of the file as a rule, where a stream an entry costs several turns of the event loop. */
async function readEntry(file: FileHandle, path: string, entry: Entry): Promise<Uint8Array> {
  const name = `${path}:${entry.fileName}`;
  const { compressedSize, uncompressedSize, compressionMethod, relativeHeaderOffset } = describe(entry);
  if (Math.max(compressedSize, uncompressedSize) > maxEncodedBytes) {
    throw damagedFile(name, `got ${uncompressedSize} bytes for one image; allowed: ${maxEncodedBytes}`);
  }
  const nameBytes = Buffer.byteLength(entry.fileName);
  const guess = await readAt(
    file,
    relativeHeaderOffset,
    localHeaderBytes + nameBytes + extraRoomBytes + compressedSize,
  );
  if (guess.length < localHeaderBytes || guess.readUInt32LE(0) !== localSignature) {
    throw damagedFile(name, `has no local header at byte ${relativeHeaderOffset}`);
  }
  const start = localHeaderBytes + guess.readUInt16LE(26) + guess.readUInt16LE(28);
  const enough = start + compressedSize <= guess.length;
  const raw = enough
    ? guess.subarray(start, start + compressedSize)
    : await readAt(file, relativeHeaderOffset + start, compressedSize);
  if (raw.length !== compressedSize)
    throw damagedFile(name, `got ${raw.length} of ${compressedSize} bytes; the archive is cut short`);
  const bytes = expand(raw, compressionMethod, uncompressedSize, name);
  if (bytes.length !== uncompressedSize || crc32(bytes) !== entry.crc32)
    throw damagedFile(name, 'CRC-32 or length does not hold');
  return bytes;
}

function expand(raw: Buffer, method: number, size: number, name: string): Uint8Array {
  if (method === 0) return raw;
  if (method !== 8) throw damagedFile(name, `is compressed by method ${method}; allowed: stored (0) and deflated (8)`);
  try {
    return inflateRawSync(raw, { maxOutputLength: Math.max(1, size) });
  } catch (cause) {
    throw damagedFile(name, 'cannot be inflated', cause);
  }
}

function describe(entry: Entry): {
  compressedSize: number;
  uncompressedSize: number;
  compressionMethod: number;
  relativeHeaderOffset: number;
} {
  const { compressedSize, uncompressedSize, compressionMethod, relativeOffsetOfLocalHeader } = entry;
  return { compressedSize, uncompressedSize, compressionMethod, relativeHeaderOffset: relativeOffsetOfLocalHeader };
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let got = 0;
  while (got < length) {
    const { bytesRead } = await file.read(buffer, got, length - got, position + got);
    if (bytesRead === 0) break;
    got += bytesRead;
  }
  return buffer.subarray(0, got);
}
