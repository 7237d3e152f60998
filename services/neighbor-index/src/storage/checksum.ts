// CRC-32C over parts.
import { crc32c } from '@kindred/faiss-native';

/** The checksum of all parts, as if they were one, going on from that of what came `before`. 0 to 2^32 - 1. */
export function checksumOf(parts: readonly Uint8Array[], before = 0): number {
  return parts.reduce((crc, part) => crc32c(part, crc), before);
}
