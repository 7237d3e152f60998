// The Winograd kernels with 8 lanes, for processors without AVX-512.
#include "winograd-includes.h"
#pragma GCC target("avx2,fma")
#define KINDRED_LANES 8
#define KINDRED_ROWS 4
#define KINDRED_NAMESPACE avx2
#include "winograd-kernels.h"

namespace kindred {
const WinogradKernels avx2Kernels = {"AVX2", avx2::forward, avx2::inputGradient, avx2::filterGradient};
}
