// One kernel for each instruction set, from one source.
#include "kernels.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace kindred {

#if defined(__x86_64__)

#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,fma,avx2")
namespace avx512 {
inline uint64_t AtLeast(__m512 value, __m512 bar) { return _mm512_cmp_ps_mask(value, bar, _CMP_GE_OQ); }
#define LANES 16
#define ROWS 8
#include "tile-kernel.h"
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
#define LANES 8
#define ROWS 4
#include "tile-kernel.h"
#undef LANES
#undef ROWS
}  // namespace avx2
#pragma GCC pop_options

#endif

// Whatever the compiler makes of four floats: SSE on old x86 processors (multiply, then add), NEON on ARM (fused).
namespace portable {
typedef float Four __attribute__((vector_size(16)));
inline uint64_t AtLeast(Four value, Four bar) {
  uint64_t reached = 0;
  for (int lane = 0; lane < 4; lane++) reached |= static_cast<uint64_t>(value[lane] >= bar[lane]) << lane;
  return reached;
}
#define LANES 4
#define ROWS 4
#include "tile-kernel.h"
#undef LANES
#undef ROWS
}  // namespace portable

std::vector<Kernel> SupportedKernels() {
  std::vector<Kernel> kernels;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw")) {
    kernels.push_back({"avx512", avx512::kLanes, avx512::kColumns, avx512::Block});
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    kernels.push_back({"avx2", avx2::kLanes, avx2::kColumns, avx2::Block});
  }
#endif
  kernels.push_back({"portable", portable::kLanes, portable::kColumns, portable::Block});
  return kernels;
}

}  // namespace kindred
