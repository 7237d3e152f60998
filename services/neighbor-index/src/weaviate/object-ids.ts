// Ids of points as UUIDs, which is what Weaviate knows objects by, and as texts that sort as Scroll does.
import { createHash } from 'node:crypto';
import type { PointId } from '../engine/points.js';

/** Below the UUID of every point: Weaviate's cursor starts after it. */
export const lowestUuid = '00000000-0000-0000-0000-000000000000';

/**
 * A point's UUID (version 8 of RFC 9562, "custom"). Numbers keep their order and can be read back: byte 0 is 0, the 64 bits lie around
 * the fixed bits of bytes 6 and 8. A text's is the beginning of its SHA-256, with the first bit set, so that texts come after numbers.
 */
export function uuidOf(id: PointId): string {
  const bytes = typeof id === 'bigint' ? bytesOfNumber(id) : bytesOfText(id);
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The number that a UUID stands for; null where it stands for a text. */
export function numberOfUuid(uuid: string): bigint | null {
  const bytes = Buffer.from(uuid.replaceAll('-', ''), 'hex');
  if (bytes[0] !== 0) return null;
  return BigInt(
    `0x${bytes.subarray(1, 6).toString('hex')}${bytes.subarray(7, 8).toString('hex')}${bytes.subarray(9, 11).toString('hex')}`,
  );
}

/** A text that sorts as {@link compareIds} does, byte by byte: hexadecimal, so that no blank and no capital is lost in an index of words. */
export function orderOf(id: PointId): string {
  return typeof id === 'bigint'
    ? `0${id.toString(16).padStart(16, '0')}`
    : `1${Buffer.from(id, 'utf8').toString('hex')}`;
}

/** The inverse of {@link orderOf}. */
export function idOfOrder(order: string): PointId {
  return order.startsWith('0') ? BigInt(`0x${order.slice(1)}`) : Buffer.from(order.slice(1), 'hex').toString('utf8');
}

function bytesOfNumber(id: bigint): Buffer {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(id);
  const bytes = Buffer.alloc(16);
  number.copy(bytes, 1, 0, 5);
  bytes[6] = 0x80;
  bytes[7] = number[5]!;
  bytes[8] = 0x80;
  number.copy(bytes, 9, 6, 8);
  return bytes;
}

function bytesOfText(text: string): Buffer {
  const bytes = createHash('sha256').update(text, 'utf8').digest().subarray(0, 16);
  bytes[0]! |= 0x80;
  bytes[6] = 0x80 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  return bytes;
}
