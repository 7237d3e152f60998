// The k best neighbours of each row so far, under a strict order: the larger score first, of equal scores the lower position.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace kindred {

// Because the order is strict, the k best do not depend on the sequence in which candidates are offered: any schedule of the
// work, on any number of threads, ends with the same table.
class NeighbourTable {
 public:
  static constexpr int32_t kNobody = std::numeric_limits<int32_t>::max();

  // `places` is at least `rows`; places beyond `rows` are padding, for which no score is ever good enough. Positions from
  // `candidates` on are padding too.
  NeighbourTable(size_t rows, size_t places, size_t candidates, size_t k)
      : rows_(rows),
        candidates_(candidates),
        k_(k),
        scores_(rows * k, -std::numeric_limits<float>::infinity()),
        positions_(rows * k, kNobody),
        bars_(places, -std::numeric_limits<float>::infinity()) {
    std::fill(bars_.begin() + static_cast<ptrdiff_t>(rows), bars_.end(), std::numeric_limits<float>::infinity());
  }

  // The least score that may still enter, by row.
  const float *bars() const { return bars_.data(); }

  // Considers a neighbour of `row`. A heap with the worst of the best on top: most candidates cost one comparison.
  void Offer(size_t row, float score, size_t position) {
    if (row >= rows_ || position >= candidates_) return;
    float *scores = scores_.data() + row * k_;
    int32_t *positions = positions_.data() + row * k_;
    const auto place = static_cast<int32_t>(position);
    if (!Worse(scores[0], positions[0], score, place)) return;
    Sink(scores, positions, k_, score, place);
    bars_[row] = scores[0];
  }

  // Considers all that another table of the same rows has found.
  void Merge(const NeighbourTable &other) {
    for (size_t row = 0; row < rows_; row++) {
      for (size_t i = row * k_; i < (row + 1) * k_; i++) {
        if (other.positions_[i] != kNobody) Offer(row, other.scores_[i], static_cast<size_t>(other.positions_[i]));
      }
    }
  }

  // Writes row `row`'s neighbours, best first. False when a place stayed empty, which only a product that is no number causes.
  bool Sorted(size_t row, float *scores, int32_t *positions) const {
    // In place: this runs in a parallel region, which an allocation that fails could not leave.
    std::copy_n(scores_.data() + row * k_, k_, scores);
    std::copy_n(positions_.data() + row * k_, k_, positions);
    for (size_t last = k_ - 1; last > 0; last--) {
      const float score = scores[last];
      const int32_t place = positions[last];
      scores[last] = scores[0];
      positions[last] = positions[0];
      Sink(scores, positions, last, score, place);
    }
    return positions[k_ - 1] != kNobody;
  }

 private:
  // Puts a pair in the place of the top of a heap of `size`, and lets it sink below the pairs that are worse.
  static void Sink(float *scores, int32_t *positions, size_t size, float score, int32_t place) {
    size_t at = 0;
    for (size_t child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && Worse(scores[child + 1], positions[child + 1], scores[child], positions[child])) child++;
      if (!Worse(scores[child], positions[child], score, place)) break;
      scores[at] = scores[child];
      positions[at] = positions[child];
      at = child;
    }
    scores[at] = score;
    positions[at] = place;
  }

  static bool Worse(float score, int32_t position, float than, int32_t than_position) {
    return score < than || (score == than && position > than_position);
  }

  size_t rows_;
  size_t candidates_;
  size_t k_;
  std::vector<float> scores_;
  std::vector<int32_t> positions_;
  std::vector<float> bars_;
};

}  // namespace kindred
