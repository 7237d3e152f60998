// BatchNorm of a training step with the ReLU, and the addition before it, in the same passes over memory: on a CPU these
// operations cost what their reads and writes cost.
#pragma once
#include <cstddef>

namespace kindred {

/** A feature map as rows of channels: `rows` is images x height x width. */
struct NormShape {
  size_t rows;
  int channels;
};

/** What a layer is made of; arrays of [channels]. */
struct NormLayer {
  const float* scale;
  const float* offset;
  float epsilon;
};

/**
 * The passes on one instruction set. `channels` must be a multiple of `normChannelMultiple`. Sums are made over fixed parts
 * of the rows and added up in their order, so results do not depend on the number of threads.
 */
struct NormKernels {
  /**
   * y = max((x - mean) * inverse * scale + offset + residual, 0) with the batch's own mean and inverse standard deviation,
   * which are given back beside the biased variance. `residual` may be null.
   */
  void (*forward)(const NormShape&, const NormLayer&, const float* x, const float* residual, float* y, float* mean, float* variance,
                  float* inverse);
  /**
   * Gradients for dy. With `dresidual` (the residual's gradient) `y` must be the forward result; without it both are null.
   */
  void (*backward)(const NormShape&, const NormLayer&, const float* dy, const float* y, const float* x, const float* mean,
                   const float* inverse, float* dx, float* dscale, float* doffset, float* dresidual);
};

constexpr int normChannelMultiple = 16;

extern const NormKernels avx512NormKernels;
extern const NormKernels avx2NormKernels;

/** The kernels for this processor; null where it has neither AVX-512 nor AVX2 with FMA. */
const NormKernels* normKernels();

}  // namespace kindred
