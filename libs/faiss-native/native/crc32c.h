// CRC-32C (RFC 3720, appendix B.4), by the processor's instruction where it has one.
#pragma once
#include <cstddef>
#include <cstdint>

namespace kindred {

// Goes on from `crc`, the checksum of what came before; 0 at the beginning.
uint32_t Crc32c(uint32_t crc, const uint8_t *data, size_t length);

}  // namespace kindred
