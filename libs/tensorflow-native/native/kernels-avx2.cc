// The kernels with 8 lanes, for processors without AVX-512.
#include "kernel-includes.h"
#pragma GCC target("avx2,fma")
#define KINDRED_LANES 8
#define KINDRED_ROWS 4
#define KINDRED_NAMESPACE avx2
#include "vectors.h"

#include "norm-kernels.h"
#include "winograd-kernels.h"
#include "winograd-wide.h"

namespace kindred {
const WinogradKernels avx2Kernels = {"AVX2", avx2::forward, avx2::inputGradient, avx2::filterGradient,
                                        avx2::transformFilter, avx2::forwardFrozen, avx2::freezeWideFilter, avx2::forwardFrozenWide};
const NormKernels avx2NormKernels = {avx2::normForward, avx2::normBackward};
}
