// Greedy descent through the upper levels, then best-first search of the lowest (Malkov and Yashunin 2016, algorithms 2 and 5).
#include "graph-search.h"
#include <algorithm>
#include <utility>
#include <vector>
#include "scanner.h"

namespace kindred {

namespace {

using Candidate = std::pair<float, int32_t>;

// Rows that this thread's search has seen, without clearing it for each search.
struct Visited {
  std::vector<uint32_t> seen;
  uint32_t now = 0;

  void Begin(size_t rows) {
    if (seen.size() < rows) seen.resize(rows, 0);
    if (++now != 0) return;
    std::fill(seen.begin(), seen.end(), 0);
    now = 1;
  }
  bool Enter(int32_t row) {
    if (seen[static_cast<size_t>(row)] == now) return false;
    seen[static_cast<size_t>(row)] = now;
    return true;
  }
};

class Search {
 public:
  Search(const faiss::HNSW &graph, const GraphQuery &query) : graph_(graph), query_(query), scanner_(BestScanner()) {}

  float Score(int32_t row) const { return scanner_.score(query_.query, RowOf(row), query_.dimension, query_.l2); }
  bool Allowed(int32_t row) const {
    return query_.allowed == nullptr || ((query_.allowed[row >> 3] >> (row & 7)) & 1) != 0;
  }

  Candidate Descend() const {
    Candidate nearest(Score(graph_.entry_point), graph_.entry_point);
    for (int level = graph_.max_level; level > 0; level--) {
      for (int32_t before = -1; before != nearest.second;) {
        before = nearest.second;
        size_t begin, end;
        graph_.neighbor_range(before, level, &begin, &end);
        for (size_t i = begin; i < end && graph_.neighbors[i] >= 0; i++) {
          const float score = Score(graph_.neighbors[i]);
          if (score > nearest.first) nearest = {score, graph_.neighbors[i]};
        }
      }
    }
    return nearest;
  }

  // The best allowed rows, nearest first, at most `ef`.
  std::vector<Candidate> Widen(Candidate start) const {
    thread_local Visited visited;
    visited.Begin(graph_.levels.size());
    // `open`: nearest on top; `best`: farthest on top.
    std::vector<Candidate> open{start};
    std::vector<Candidate> best;
    const auto farther = [](const Candidate &a, const Candidate &b) { return a.first > b.first; };
    visited.Enter(start.second);
    if (Allowed(start.second)) best.push_back(start);
    std::vector<int32_t> fresh;
    while (!open.empty()) {
      std::pop_heap(open.begin(), open.end());
      const Candidate here = open.back();
      open.pop_back();
      if (best.size() >= query_.ef && here.first < best.front().first) break;
      size_t begin, end;
      graph_.neighbor_range(here.second, 0, &begin, &end);
      fresh.clear();
      for (size_t i = begin; i < end && graph_.neighbors[i] >= 0; i++) {
        const int32_t row = graph_.neighbors[i];
        if (!visited.Enter(row)) continue;
        fresh.push_back(row);
        const auto *vector = reinterpret_cast<const char *>(RowOf(row));
        for (size_t byte = 0; byte < query_.dimension * sizeof(float); byte += 64) __builtin_prefetch(vector + byte);
      }
      for (const int32_t row : fresh) {
        const Candidate there(Score(row), row);
        if (best.size() >= query_.ef && there.first <= best.front().first) continue;
        open.push_back(there);
        std::push_heap(open.begin(), open.end());
        if (!Allowed(row)) continue;
        best.push_back(there);
        std::push_heap(best.begin(), best.end(), farther);
        if (best.size() <= query_.ef) continue;
        std::pop_heap(best.begin(), best.end(), farther);
        best.pop_back();
      }
    }
    std::sort_heap(best.begin(), best.end(), farther);
    return best;
  }

 private:
  const float *RowOf(int32_t row) const { return query_.vectors + static_cast<size_t>(row) * query_.dimension; }

  const faiss::HNSW &graph_;
  const GraphQuery &query_;
  const Scanner &scanner_;
};

}  // namespace

void SearchGraph(const faiss::HNSW &graph, const GraphQuery &query, size_t k, int64_t *positions) {
  std::fill_n(positions, k, -1);
  if (graph.entry_point < 0) return;
  const Search search(graph, query);
  const auto best = search.Widen(search.Descend());
  for (size_t i = 0; i < std::min(k, best.size()); i++) positions[i] = best[i].second;
}

}  // namespace kindred
