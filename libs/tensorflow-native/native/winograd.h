// 3x3 convolutions of stride 1 and padding 1 by Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray 2016): 2.25 times
// fewer multiplications than the direct form, for the forward pass and both gradients.
#pragma once
#include <cstddef>

namespace kindred {

/** Sizes of a convolution: `images` feature maps of height x width, `inputs` to `outputs` channels. */
struct ConvolutionShape {
  int images, height, width, inputs, outputs;
};

/** What is done to each value of a convolution before it is stored: relu(value + bias + residual), each part where it is there. */
struct Ending {
  /** [outputs] */
  const float* bias;
  /** A map like the output; null: none. */
  const float* residual;
  bool relu;
};

/**
 * The three passes on one instruction set. Feature maps are [images, height, width, channels], filters
 * [3, 3, inputs, outputs], float32 and contiguous. Both channel numbers must be multiples of `channelMultiple`.
 * Each value is summed in one fixed order, so results do not depend on the number of threads.
 */
struct WinogradKernels {
  const char* instructions;
  void (*forward)(const ConvolutionShape&, const float* x, const float* filter, float* y);
  void (*inputGradient)(const ConvolutionShape&, const float* dy, const float* filter, float* dx);
  void (*filterGradient)(const ConvolutionShape&, const float* x, const float* dy, float* dfilter);
  /** A filter in the form that `forwardFrozen` takes, of 16 * inputs * outputs floats. */
  void (*freezeFilter)(const float* filter, int inputs, int outputs, float* frozen);
  /** The forward pass by a filter that was frozen before, with its ending. */
  void (*forwardFrozen)(const ConvolutionShape&, const float* x, const float* frozen, const Ending&, float* y);
  /** The same by tiles of 4x4 outputs: a filter of 36 * inputs * outputs floats. */
  void (*freezeWideFilter)(const float* filter, int inputs, int outputs, float* frozen);
  /** Four times fewer multiplications than the direct form, with rounding errors several times those of `forwardFrozen`. */
  void (*forwardFrozenWide)(const ConvolutionShape&, const float* x, const float* frozen, const Ending&, float* y);
};

constexpr int channelMultiple = 32;

extern const WinogradKernels avx512Kernels;
extern const WinogradKernels avx2Kernels;

/** The kernels for this processor; null where it has neither AVX-512 nor AVX2 with FMA. */
const WinogradKernels* winogradKernels();

}  // namespace kindred
