// Chooses the Winograd kernels for the processor at hand.
#include "winograd.h"

namespace kindred {

const WinogradKernels* winogradKernels() {
  static const WinogradKernels* const chosen = []() -> const WinogradKernels* {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw"))
      return &avx512Kernels;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &avx2Kernels;
    return nullptr;
  }();
  return chosen;
}

}  // namespace kindred
