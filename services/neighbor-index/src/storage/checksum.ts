// CRC-32C over parts.
import { crc32c } from '@kindred/faiss-native';

/** The checksum of all parts, as if they were one, going on from that of what came `before`. 0 to 2^32 - 1. */
export function checksumOf(parts: readonly Uint8Array[], before = 0): number {
  return parts.reduce((crc, part) => crc32c(part, crc), before);
}

/** Bytes that are checked before other work of the process gets a turn. */
const bytesPerTurn = 16 * 1024 * 1024;

/** The checksum of bytes of any number, in turns with other work of the process. */
export async function checksumInTurns(bytes: Uint8Array): Promise<number> {
  let crc = 0;
  for (let start = 0; start < bytes.byteLength; start += bytesPerTurn) {
    if (start > 0) await new Promise((resolve) => setImmediate(resolve));
    crc = checksumOf([bytes.subarray(start, start + bytesPerTurn)], crc);
  }
  return crc;
}
