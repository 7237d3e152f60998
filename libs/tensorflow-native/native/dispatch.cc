// Chooses the kernels for the processor at hand.
#include "norm.h"
#include "winograd.h"

namespace kindred {
namespace {

enum class Instructions { none, avx2, avx512 };

Instructions instructions() {
  static const Instructions best = [] {
    __builtin_cpu_init();
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw");
    if (wide) return Instructions::avx512;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? Instructions::avx2 : Instructions::none;
  }();
  return best;
}

template <typename Kernels>
const Kernels* choose(const Kernels& avx512, const Kernels& avx2) {
  switch (instructions()) {
    case Instructions::avx512:
      return &avx512;
    case Instructions::avx2:
      return &avx2;
    default:
      return nullptr;
  }
}

}  // namespace

const WinogradKernels* winogradKernels() { return choose(avx512Kernels, avx2Kernels); }
const NormKernels* normKernels() { return choose(avx512NormKernels, avx2NormKernels); }

}  // namespace kindred
