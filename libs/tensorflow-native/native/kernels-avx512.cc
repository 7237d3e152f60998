// The kernels with 16 lanes.
#include "kernel-includes.h"
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,fma")
#define KINDRED_LANES 16
#define KINDRED_ROWS 8
#define KINDRED_NAMESPACE avx512
#include "vectors.h"

#include "norm-kernels.h"
#include "winograd-kernels.h"
#include "winograd-wide.h"

namespace kindred {
const WinogradKernels avx512Kernels = {"AVX-512", avx512::forward, avx512::inputGradient, avx512::filterGradient,
                                        avx512::transformFilter, avx512::forwardFrozen, avx512::freezeWideFilter, avx512::forwardFrozenWide};
const NormKernels avx512NormKernels = {avx512::normForward, avx512::normBackward};
}
