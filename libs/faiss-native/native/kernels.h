// The kernels that this processor can run, fastest first.
#pragma once
#include <cstddef>
#include <vector>
#include "neighbour-table.h"

namespace kindred {

// Positions from `begin` up to, not including, `end`.
struct Range {
  size_t begin;
  size_t end;
};

// Multiplies two blocks and offers what may be a neighbour, see tile-kernel.h.
struct Kernel {
  const char *name;
  // Vectors that lie interleaved in a panel, [dimension][lanes].
  size_t lanes;
  // Blocks begin and end at multiples of this.
  size_t columns;
  void (*block)(const float *panels, size_t dimension, Range rows, Range columns, NeighbourTable &table);
};

std::vector<Kernel> SupportedKernels();

}  // namespace kindred
