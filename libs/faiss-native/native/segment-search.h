// A search of several segments at once: by their indexes where they have one, else row by row.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>
#include "neighbour-table.h"
#include "scanner.h"
#include "segment-index.h"
#include "task-pool.h"

namespace kindred {

struct Segment {
  Rows rows;
  // One bit a row; null: all.
  const uint8_t *allowed;
  // Null: compare row by row.
  const SegmentIndex *index;
};

struct SearchRequest {
  std::vector<Segment> segments;
  // [count][dimension]
  const float *queries;
  size_t count;
  size_t dimension;
  size_t k;
  bool l2;
  // As IndexSearch; compressed indexes find k * refine candidates.
  size_t ef_search;
  size_t probes;
  size_t refine;
  // Not 0: the answer is no longer wanted.
  const std::atomic<int32_t> *cancelled;
};

// Positions count rows through the segments in their order. All memory of the request must stay until Done.
class SegmentSearch : public Task {
 public:
  // `done` is called once, from a thread of the pool.
  SegmentSearch(SearchRequest request, size_t threads, std::function<void(SegmentSearch &)> done);

  size_t parts() const override { return jobs_.size(); }
  void RunPart(size_t part) override;
  void Done() override { done_(*this); }

  // [count][k], nearest first, -1 behind the last; scores as the metric has them.
  void Write(float *scores, int32_t *positions) const;
  // What went wrong; empty: nothing.
  const std::string &error() const { return error_; }

 private:
  // Rows of a segment, or its index, for a block of queries.
  struct Job {
    size_t segment;
    size_t block;
    size_t first_row;
    size_t end_row;
    bool by_index;
  };
  struct Block {
    size_t first;
    size_t count;
    std::vector<float> panels;
    size_t places;
    std::unique_ptr<NeighbourTable> table;
    std::mutex mutex;
  };

  void Plan(size_t threads);
  void ScanPart(const Job &job, const Block &block, NeighbourTable &found) const;
  void IndexPart(const Job &job, const Block &block, NeighbourTable &found) const;
  void CompareAll(const Segment &segment, size_t base, const float *query, size_t row, NeighbourTable &found) const;

  SearchRequest request_;
  std::vector<size_t> bases_;
  size_t rows_ = 0;
  std::vector<size_t> allowed_;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<std::vector<Job>> jobs_;
  std::function<void(SegmentSearch &)> done_;
  std::mutex error_mutex_;
  std::string error_;
};

}  // namespace kindred
