// How a search is divided among the threads, and its parts put together.
#include "segment-search.h"
#include <algorithm>
#include <cstring>
#include <exception>
#include <limits>

namespace kindred {

namespace {

constexpr size_t kQueriesPerBlock = 128;
// Multiplications of a part, about 5 ms: long enough to be worth a thread, short enough that others get their turn.
constexpr size_t kProductsPerPart = size_t{1} << 28;
// Rows between two looks at a cache of 1 MiB for the panels of queries.
constexpr size_t kFloatsPerChunk = 1 << 16;
// A graph search compares about this many vectors for each candidate that it keeps.
constexpr size_t kComparisonsPerCandidate = 16;
// With fewer allowed rows than this part, comparing them all beats a graph most of whose nodes do not count.
constexpr size_t kSelective = 10;
constexpr size_t kMostCandidates = 4096;

size_t CountBits(const uint8_t *bits, size_t count) {
  size_t sum = 0;
  size_t byte = 0;
  for (; (byte + 8) * 8 <= count; byte += 8) {
    uint64_t word;
    std::memcpy(&word, bits + byte, 8);
    sum += static_cast<size_t>(__builtin_popcountll(word));
  }
  for (size_t i = byte * 8; i < count; i++) sum += (bits[i >> 3] >> (i & 7)) & 1;
  return sum;
}

}  // namespace

SegmentSearch::SegmentSearch(SearchRequest request, size_t threads, std::function<void(SegmentSearch &)> done)
    : request_(std::move(request)), done_(std::move(done)) {
  size_t base = 0;
  for (const auto &segment : request_.segments) {
    bases_.push_back(base);
    base += segment.rows.count;
    allowed_.push_back(segment.allowed == nullptr ? segment.rows.count : CountBits(segment.allowed, segment.rows.count));
  }
  rows_ = base;
  Plan(threads);
}

void SegmentSearch::Plan(size_t threads) {
  const size_t lanes = BestScanner().lanes;
  size_t scanned = 0;
  for (size_t s = 0; s < request_.segments.size(); s++) scanned += request_.segments[s].index == nullptr ? allowed_[s] : 0;
  const size_t all = scanned * request_.dimension * request_.count;
  // A search of a few parts is divided so that every thread has as much to do.
  const size_t even = all / threads + 1;
  const size_t per_part = std::max<size_t>(size_t{1} << 21, std::min(kProductsPerPart, even));
  for (size_t first = 0; first < request_.count; first += kQueriesPerBlock) {
    auto block = std::make_unique<Block>();
    block->first = first;
    block->count = std::min(kQueriesPerBlock, request_.count - first);
    block->panels = Interleave(request_.queries + first * request_.dimension, block->count, request_.dimension, lanes, &block->places);
    block->table = std::make_unique<NeighbourTable>(block->count, block->places, rows_, request_.k);
    blocks_.push_back(std::move(block));
  }
  for (size_t b = 0; b < blocks_.size(); b++) {
    std::vector<Job> part;
    size_t cost = 0;
    const auto add = [&](const Job &job, size_t products) {
      part.push_back(job);
      cost += products;
      if (cost < per_part) return;
      jobs_.push_back(std::move(part));
      part.clear();
      cost = 0;
    };
    for (size_t s = 0; s < request_.segments.size(); s++) {
      const auto &segment = request_.segments[s];
      if (allowed_[s] == 0) continue;
      const size_t row_cost = blocks_[b]->count * request_.dimension;
      const bool few = allowed_[s] * kSelective < segment.rows.count || allowed_[s] <= 2 * request_.k;
      if (segment.index != nullptr && !few) {
        add({s, b, 0, segment.rows.count, true}, row_cost * std::max(request_.ef_search, request_.k) * kComparisonsPerCandidate);
        continue;
      }
      const size_t rows_per_part = std::max<size_t>(256, per_part / row_cost);
      for (size_t row = 0; row < segment.rows.count; row += rows_per_part) {
        const size_t end = std::min(segment.rows.count, row + rows_per_part);
        add({s, b, row, end, false}, row_cost * (end - row));
      }
    }
    if (!part.empty()) jobs_.push_back(std::move(part));
  }
}

void SegmentSearch::RunPart(size_t part) {
  if (request_.cancelled != nullptr && *request_.cancelled != 0) return;
  try {
    Block &block = *blocks_[jobs_[part].front().block];
    NeighbourTable found(block.count, block.places, rows_, request_.k);
    for (const auto &job : jobs_[part]) {
      job.by_index ? IndexPart(job, block, found) : ScanPart(job, block, found);
    }
    std::lock_guard<std::mutex> lock(block.mutex);
    block.table->Merge(found);
  } catch (const std::exception &thrown) {
    std::lock_guard<std::mutex> lock(error_mutex_);
    error_ = thrown.what();
  } catch (...) {
    std::lock_guard<std::mutex> lock(error_mutex_);
    error_ = "an unknown exception";
  }
}

void SegmentSearch::ScanPart(const Job &job, const Block &block, NeighbourTable &found) const {
  const auto &segment = request_.segments[job.segment];
  const size_t dimension = request_.dimension;
  const size_t base = bases_[job.segment];
  const auto &scanner = BestScanner();
  const size_t chunk = std::max<size_t>(8, kFloatsPerChunk / dimension);
  // One or two queries leave most of a register empty: the memory's speed decides then, not the arithmetic's.
  const bool alone = block.count * 4 <= scanner.lanes;
  std::vector<const float *> rows;
  std::vector<size_t> positions;
  rows.reserve(chunk);
  positions.reserve(chunk);
  for (size_t row = job.first_row; row < job.end_row;) {
    rows.clear();
    positions.clear();
    for (; row < job.end_row && rows.size() < chunk; row++) {
      if (segment.allowed != nullptr && ((segment.allowed[row >> 3] >> (row & 7)) & 1) == 0) continue;
      rows.push_back(segment.rows.vectors + row * dimension);
      positions.push_back(base + row);
    }
    if (!alone) {
      scanner.scan({rows.data(), positions.data(), rows.size()}, {block.panels.data(), block.places, dimension}, request_.l2, found);
      continue;
    }
    for (size_t query = 0; query < block.count; query++) {
      const float *vector = request_.queries + (block.first + query) * dimension;
      for (size_t r = 0; r < rows.size(); r++) {
        const float score = scanner.score(vector, rows[r], dimension, request_.l2);
        if (score >= found.bars()[query]) found.Offer(query, score, positions[r]);
      }
    }
  }
}

void SegmentSearch::IndexPart(const Job &job, const Block &block, NeighbourTable &found) const {
  const auto &segment = request_.segments[job.segment];
  const size_t allowed = allowed_[job.segment];
  const size_t wanted = std::min(request_.k, allowed);
  IndexSearch search;
  search.k = std::min({request_.k * request_.refine, allowed, std::max(request_.k, kMostCandidates)});
  search.ef_search = request_.ef_search;
  search.probes = request_.probes;
  search.allowed = allowed == segment.rows.count ? nullptr : segment.allowed;
  std::vector<int64_t> positions(search.k);
  const auto &scanner = BestScanner();
  for (size_t query = 0; query < block.count; query++) {
    if (request_.cancelled != nullptr && *request_.cancelled != 0) return;
    const float *vector = request_.queries + (block.first + query) * request_.dimension;
    segment.index->Search(vector, search, positions.data());
    size_t count = 0;
    while (count < positions.size() && positions[count] >= 0) count++;
    if (count < wanted) {
      CompareAll(segment, bases_[job.segment], vector, query, found);
      continue;
    }
    for (size_t i = 0; i < count; i++) {
      const auto row = static_cast<size_t>(positions[i]);
      const float score = scanner.score(vector, segment.rows.vectors + row * request_.dimension, request_.dimension, request_.l2);
      found.Offer(query, score, bases_[job.segment] + row);
    }
  }
}

// What an index may miss, above all among few allowed rows.
void SegmentSearch::CompareAll(const Segment &segment, size_t base, const float *query, size_t row, NeighbourTable &found) const {
  const auto &scanner = BestScanner();
  for (size_t i = 0; i < segment.rows.count; i++) {
    if (segment.allowed != nullptr && ((segment.allowed[i >> 3] >> (i & 7)) & 1) == 0) continue;
    found.Offer(row, scanner.score(query, segment.rows.vectors + i * request_.dimension, request_.dimension, request_.l2), base + i);
  }
}

void SegmentSearch::Write(float *scores, int32_t *positions) const {
  const size_t dimension = request_.dimension;
  const auto &scanner = BestScanner();
  const float worst = request_.l2 ? std::numeric_limits<float>::infinity() : -std::numeric_limits<float>::infinity();
  std::vector<std::pair<float, int32_t>> best(request_.k);
  for (const auto &block : blocks_) {
    for (size_t row = 0; row < block->count; row++) {
      const size_t query = block->first + row;
      float *score = scores + query * request_.k;
      int32_t *position = positions + query * request_.k;
      block->table->Sorted(row, score, position);
      size_t count = 0;
      // Scores by one kernel, however a row was found: equal vectors get equal scores.
      for (; count < request_.k && position[count] != NeighbourTable::kNobody; count++) {
        const auto at = static_cast<size_t>(position[count]);
        const size_t s = static_cast<size_t>(std::upper_bound(bases_.begin(), bases_.end(), at) - bases_.begin()) - 1;
        const float *vector = request_.segments[s].rows.vectors + (at - bases_[s]) * dimension;
        best[count] = {scanner.score(request_.queries + query * dimension, vector, dimension, request_.l2), position[count]};
      }
      std::sort(best.begin(), best.begin() + static_cast<ptrdiff_t>(count), [](const auto &a, const auto &b) {
        return a.first > b.first || (a.first == b.first && a.second < b.second);
      });
      for (size_t i = 0; i < request_.k; i++) {
        score[i] = i >= count ? worst : request_.l2 ? -best[i].first : best[i].first;
        position[i] = i < count ? best[i].second : -1;
      }
    }
  }
}

}  // namespace kindred
