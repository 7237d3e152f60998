// The instruction of SSE 4.2, and a table for processors without it.
#include "crc32c.h"
#include <array>
#include <cstring>
#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace kindred {

namespace {

uint32_t ByTable(uint32_t crc, const uint8_t *data, size_t length) {
  static const auto table = [] {
    std::array<uint32_t, 256> made{};
    for (uint32_t byte = 0; byte < 256; byte++) {
      uint32_t value = byte;
      for (int bit = 0; bit < 8; bit++) value = value & 1 ? (value >> 1) ^ 0x82f63b78u : value >> 1;
      made[byte] = value;
    }
    return made;
  }();
  for (size_t i = 0; i < length; i++) crc = (crc >> 8) ^ table[(crc ^ data[i]) & 0xff];
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t ByInstruction(uint32_t crc, const uint8_t *data, size_t length) {
  uint64_t value = crc;
  size_t i = 0;
  for (; i + 8 <= length; i += 8) {
    uint64_t word;
    std::memcpy(&word, data + i, 8);
    value = _mm_crc32_u64(value, word);
  }
  auto rest = static_cast<uint32_t>(value);
  for (; i < length; i++) rest = _mm_crc32_u8(rest, data[i]);
  return rest;
}
#endif

}  // namespace

uint32_t Crc32c(uint32_t crc, const uint8_t *data, size_t length) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return ~ByInstruction(~crc, data, length);
#endif
  return ~ByTable(~crc, data, length);
}

}  // namespace kindred
