// Zip archives of uncompressed entries, in memory: the container of PyTorch checkpoints (APPNOTE 6.3, sections 4.3 and 4.4).
import { crc32 } from 'node:zlib';
import { KindredError } from '@kindred/errors';
import { damaged, unsupported } from './damage.js';

const format = 'zip';
const localSignature = 0x04034b50;
const centralSignature = 0x02014b50;
const endSignature = 0x06054b50;
const endBytes = 22;
const maxCommentBytes = 0xffff;
/** PyTorch aligns what it stores to 64 bytes, so that storages can be mapped; it fills with an extra field 'FB'. */
const dataAlignment = 64;
const utf8Flag = 0x0800;
/** 1 January 1980, the zero of the format: the same content gives the same bytes. */
const dosDate = 0x0021;

/** A named part of an archive. */
export interface ZipPart {
  readonly name: string;
  readonly data: Uint8Array;
}

/**
 * Entries by name, each a view of `bytes` whose CRC-32 was checked. DATA_LOSS when a structure, range or checksum does not
 * hold; INVALID_ARGUMENT for compressed, encrypted or zip64 archives.
 */
export function readStoredZip(bytes: Uint8Array, archive = 'archive'): Map<string, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = findEnd(view, archive);
  const count = view.getUint16(end + 10, true);
  const directory = view.getUint32(end + 16, true);
  if (count === 0xffff || directory === 0xffffffff) {
    throw unsupported(format, archive, 'is a zip64 archive; allowed: under 4 GiB and 65,535 entries');
  }
  const entries = new Map<string, Uint8Array>();
  let total = 0;
  let at = directory;
  for (let i = 0; i < count; i++) {
    if (at + 46 > end || view.getUint32(at, true) !== centralSignature) {
      throw damaged(format, archive, `entry ${i} of ${count} is missing from the directory at byte ${at}`);
    }
    const nameBytes = view.getUint16(at + 28, true);
    const next = at + 46 + nameBytes + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    if (next > end) throw damaged(format, archive, `entry ${i} of ${count} runs past the directory`);
    const name = Buffer.from(bytes.subarray(at + 46, at + 46 + nameBytes)).toString('utf8');
    if (entries.has(name)) throw damaged(format, archive, `entry '${name}' is there twice`);
    // Entries that share their bytes would make work without end of a small file.
    total += view.getUint32(at + 20, true);
    if (total > bytes.length) throw damaged(format, archive, `its entries are together over its ${bytes.length} bytes`);
    entries.set(name, entryData(bytes, view, at, directory, `${archive}:${name}`));
    at = next;
  }
  return entries;
}

/** A zip archive of uncompressed parts in the given order, the data of each at a multiple of 64 bytes; 4 GiB at most. */
export function writeStoredZip(parts: readonly ZipPart[]): Uint8Array {
  let size = 0;
  const laid = parts.map(({ name, data }) => {
    const nameBytes = Buffer.from(name);
    const offset = size;
    const unpadded = offset + 30 + nameBytes.length + 4;
    const padding = (dataAlignment - (unpadded % dataAlignment)) % dataAlignment;
    size = unpadded + padding + data.length;
    return { nameBytes, data, offset, padding, crc: crc32(data) };
  });
  const directory = size;
  for (const { nameBytes } of laid) size += 46 + nameBytes.length;
  size += endBytes;
  if (size >= 0xffffffff || parts.length >= 0xffff) {
    throw new KindredError(
      'RESOURCE_EXHAUSTED',
      `zip: got ${size} bytes in ${parts.length} parts; allowed: under 4 GiB and 65,535`,
    );
  }
  const file = new Uint8Array(size);
  const view = new DataView(file.buffer);
  let at = directory;
  for (const { nameBytes, data, offset, padding, crc } of laid) {
    const extra = offset + 30 + nameBytes.length;
    view.setUint32(offset, localSignature, true);
    writeShared(view, offset + 4, crc, data.length, nameBytes.length);
    view.setUint16(offset + 28, 4 + padding, true);
    file.set(nameBytes, offset + 30);
    file.set([0x46, 0x42, padding & 255, padding >> 8], extra);
    file.fill(0x5a, extra + 4, extra + 4 + padding);
    file.set(data, extra + 4 + padding);
    view.setUint32(at, centralSignature, true);
    writeShared(view, at + 6, crc, data.length, nameBytes.length);
    view.setUint32(at + 42, offset, true);
    file.set(nameBytes, at + 46);
    at += 46 + nameBytes.length;
  }
  view.setUint32(at, endSignature, true);
  view.setUint16(at + 8, parts.length, true);
  view.setUint16(at + 10, parts.length, true);
  view.setUint32(at + 12, at - directory, true);
  view.setUint32(at + 16, directory, true);
  return file;
}

/** The 24 bytes that a local header and a directory entry have in common, from "version needed" to the name's length. */
function writeShared(view: DataView, at: number, crc: number, size: number, nameBytes: number): void {
  view.setUint16(at, 20, true);
  view.setUint16(at + 2, utf8Flag, true);
  view.setUint16(at + 8, dosDate, true);
  view.setUint32(at + 10, crc, true);
  view.setUint32(at + 14, size, true);
  view.setUint32(at + 18, size, true);
  view.setUint16(at + 22, nameBytes, true);
}

function findEnd(view: DataView, archive: string): number {
  const last = view.byteLength - endBytes;
  for (let at = last; at >= Math.max(0, last - maxCommentBytes); at--) {
    if (view.getUint32(at, true) === endSignature && at + endBytes + view.getUint16(at + 20, true) === view.byteLength)
      return at;
  }
  throw damaged(
    format,
    archive,
    `no end record in ${view.byteLength} bytes; the file is cut short or of another format`,
  );
}

function entryData(bytes: Uint8Array, view: DataView, at: number, directory: number, name: string): Uint8Array {
  const flags = view.getUint16(at + 8, true);
  const method = view.getUint16(at + 10, true);
  const size = view.getUint32(at + 20, true);
  const local = view.getUint32(at + 42, true);
  if ((flags & 1) !== 0 || method !== 0) {
    throw unsupported(format, name, `got method ${method}, flags ${flags}; allowed: stored (0), not encrypted`);
  }
  if (
    size !== view.getUint32(at + 24, true) ||
    local + 30 > directory ||
    view.getUint32(local, true) !== localSignature
  ) {
    throw damaged(format, name, `its header at byte ${local} does not agree with the directory`);
  }
  const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
  if (start + size > directory)
    throw damaged(format, name, `${size} bytes at ${start} run into the directory at ${directory}`);
  const data = bytes.subarray(start, start + size);
  if (crc32(data) !== view.getUint32(at + 16, true)) throw damaged(format, name, 'CRC-32 does not hold');
  return data;
}
