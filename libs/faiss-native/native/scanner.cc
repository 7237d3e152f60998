// One scanner for each instruction set, from one source.
#include "scanner.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace kindred {

#if defined(__x86_64__)

#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,fma,avx2")
namespace avx512 {
inline uint64_t AtLeast(__m512 value, __m512 bar) { return _mm512_cmp_ps_mask(value, bar, _CMP_GE_OQ); }
inline float SumOf(__m512 value) { return _mm512_reduce_add_ps(value); }
#define LANES 16
#define ROWS 8
#include "scan-kernel.h"
#undef LANES
#undef ROWS
}  // namespace avx512
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
inline uint64_t AtLeast(__m256 value, __m256 bar) {
  return static_cast<uint64_t>(_mm256_movemask_ps(_mm256_cmp_ps(value, bar, _CMP_GE_OQ)));
}
inline float SumOf(__m256 value) {
  const __m128 half = _mm_add_ps(_mm256_castps256_ps128(value), _mm256_extractf128_ps(value, 1));
  const __m128 pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps(pair, pair, 1)));
}
#define LANES 8
#define ROWS 6
#include "scan-kernel.h"
#undef LANES
#undef ROWS
}  // namespace avx2
#pragma GCC pop_options

#endif

namespace portable {
typedef float Four __attribute__((vector_size(16)));
inline uint64_t AtLeast(Four value, Four bar) {
  uint64_t reached = 0;
  for (int lane = 0; lane < 4; lane++) reached |= static_cast<uint64_t>(value[lane] >= bar[lane]) << lane;
  return reached;
}
inline float SumOf(Four value) { return (value[0] + value[1]) + (value[2] + value[3]); }
#define LANES 4
#define ROWS 4
#include "scan-kernel.h"
#undef LANES
#undef ROWS
}  // namespace portable

const Scanner &BestScanner() {
  static const Scanner best = []() -> Scanner {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw")) {
      return {"avx512", avx512::kLanes, avx512::Score, avx512::Scan};
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      return {"avx2", avx2::kLanes, avx2::Score, avx2::Scan};
    }
#endif
    return {"portable", portable::kLanes, portable::Score, portable::Scan};
  }();
  return best;
}

std::vector<float> Interleave(const float *queries, size_t count, size_t dimension, size_t lanes, size_t *places) {
  *places = (count + lanes - 1) / lanes * lanes;
  std::vector<float> panels(*places * dimension + 16);
  size_t start = 0;
  for (size_t first = 0; first < *places;) {
    const size_t width = (*places - first >= 2 * lanes ? 2 : 1) * lanes;
    for (size_t lane = 0; lane < width && first + lane < count; lane++) {
      const float *query = queries + (first + lane) * dimension;
      for (size_t i = 0; i < dimension; i++) panels[start + i * width + lane] = query[i];
    }
    start += width * dimension;
    first += width;
  }
  return panels;
}

}  // namespace kindred
