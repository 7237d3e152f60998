// Each vector's nearest vectors in its own set, by inner product, exactly.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include "kernels.h"

namespace kindred {

// The products of a set with itself are symmetric, so each is made once and offered to both of its vectors: half of the work of
// a search for all of them. Blocks of vectors meet as in a round-robin tournament. In a round no block has two partners, so that
// threads never write to the same rows.
class Mining {
 public:
  // 1 <= k <= rows; rows below 2^31.
  Mining(size_t rows, size_t dimension, size_t k, const Kernel &kernel, size_t threads);

  // Copies the next `count` vectors, [count][dimension]; those that never come count as zeros.
  void Add(const float *vectors, size_t count);

  // Rounds in all; round 0 is each block with itself.
  size_t rounds() const { return blocks_ + blocks_ % 2; }
  size_t rows() const { return rows_; }
  size_t dimension() const { return dimension_; }
  size_t k() const { return k_; }
  // Vectors that are still to come.
  size_t missing() const { return rows_ - added_; }

  // Plays the next round; past the last one it does nothing.
  void Advance();

  // Writes [rows][k], best first. False when some vector has fewer than k products that are numbers.
  bool Write(float *scores, int32_t *positions) const;

 private:
  Range Block(size_t block) const;

  size_t rows_;
  size_t dimension_;
  size_t k_;
  Kernel kernel_;
  int threads_;
  // Rows with padding, and the same a block.
  size_t places_;
  size_t block_places_;
  size_t blocks_;
  size_t added_ = 0;
  size_t round_ = 0;
  struct Free { void operator()(float *memory) const; };
  std::unique_ptr<float[], Free> panels_;
  NeighbourTable table_;
};

}  // namespace kindred
