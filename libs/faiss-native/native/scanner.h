// Comparing queries with stored vectors one by one, in the fastest way that this processor knows.
#pragma once
#include <cstddef>
#include <vector>
#include "neighbour-table.h"

namespace kindred {

// Some vectors, wherever they lie, and the positions under which they are offered.
struct ScanRows {
  const float *const *rows;
  const size_t *positions;
  size_t count;
};

// Queries, interleaved for the kernel; `places` is their number rounded up to whole registers.
struct ScanQueries {
  const float *panels;
  size_t places;
  size_t dimension;
};

struct Scanner {
  const char *name;
  size_t lanes;
  // Similarity of two vectors: the inner product or, with `l2`, the squared distance below zero.
  float (*score)(const float *a, const float *b, size_t dimension, bool l2);
  void (*scan)(const ScanRows &rows, const ScanQueries &queries, bool l2, NeighbourTable &table);
};

// The fastest scanner of this processor.
const Scanner &BestScanner();

// [count][dimension] to the panels of ScanQueries; `places` is set to their width.
std::vector<float> Interleave(const float *queries, size_t count, size_t dimension, size_t lanes, size_t *places);

}  // namespace kindred
