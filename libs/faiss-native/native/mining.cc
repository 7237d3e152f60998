// The rounds of mining, and how vectors lie in memory for the kernels.
#include "mining.h"
#include <algorithm>
#include <cstdlib>
#include <new>

namespace kindred {

namespace {

// Floats of a block: two blocks and the running panels stay in a second-level cache of 1 MiB.
constexpr size_t kBlockFloats = 1 << 16;
// A line of the cache, and the longest register.
constexpr size_t kAlignment = 64;
// Small sets get smaller blocks, so that a round has several pairs for each thread.
constexpr size_t kBlocksPerThread = 8;

size_t RoundUp(size_t value, size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

size_t BlockPlaces(size_t rows, size_t dimension, size_t threads, size_t columns) {
  const size_t wanted = std::min(kBlockFloats / dimension, rows / (kBlocksPerThread * threads));
  return std::max<size_t>(1, wanted / columns) * columns;
}

}  // namespace

void Mining::Free::operator()(float *memory) const { std::free(memory); }

Mining::Mining(size_t rows, size_t dimension, size_t k, const Kernel &kernel, size_t threads)
    : rows_(rows),
      dimension_(dimension),
      k_(k),
      kernel_(kernel),
      threads_(static_cast<int>(threads)),
      places_(RoundUp(rows, kernel.columns)),
      block_places_(BlockPlaces(rows, dimension, threads, kernel.columns)),
      blocks_((places_ + block_places_ - 1) / block_places_),
      table_(rows, places_, rows, k) {
  const size_t bytes = RoundUp(places_ * dimension * sizeof(float), kAlignment);
  panels_.reset(static_cast<float *>(std::aligned_alloc(kAlignment, bytes)));
  if (!panels_) throw std::bad_alloc();
  std::fill_n(panels_.get(), places_ * dimension, 0.0f);
}

void Mining::Add(const float *vectors, size_t count) {
  const size_t first = added_;
  added_ += count;
#pragma omp parallel for num_threads(threads_)
  for (size_t row = first; row < first + count; row++) {
    const float *vector = vectors + (row - first) * dimension_;
    float *place = panels_.get() + row / kernel_.lanes * kernel_.lanes * dimension_ + row % kernel_.lanes;
    for (size_t i = 0; i < dimension_; i++) place[i * kernel_.lanes] = vector[i];
  }
}

void Mining::Advance() {
  if (round_ >= rounds()) return;
  const size_t round = round_++;
  if (round == 0) {
#pragma omp parallel for schedule(dynamic) num_threads(threads_)
    for (size_t block = 0; block < blocks_; block++) {
      kernel_.block(panels_.get(), dimension_, Block(block), Block(block), table_);
    }
    return;
  }
  // The circle method: one block stays, the others move on by one place a round. With an odd number, one has no partner.
  const size_t players = rounds();
  const size_t circle = players - 1;
#pragma omp parallel for schedule(dynamic) num_threads(threads_)
  for (size_t pair = 0; pair < players / 2; pair++) {
    const size_t first = pair == 0 ? circle : (round + pair) % circle;
    const size_t second = pair == 0 ? round % circle : (round + circle - pair) % circle;
    if (std::max(first, second) >= blocks_) continue;
    kernel_.block(panels_.get(), dimension_, Block(first), Block(second), table_);
  }
}

bool Mining::Write(float *scores, int32_t *positions) const {
  bool whole = true;
#pragma omp parallel for num_threads(threads_) reduction(&& : whole)
  for (size_t row = 0; row < rows_; row++) {
    whole = table_.Sorted(row, scores + row * k_, positions + row * k_) && whole;
  }
  return whole;
}

Range Mining::Block(size_t block) const {
  return {block * block_places_, std::min(places_, (block + 1) * block_places_)};
}

}  // namespace kindred
