// Searching faiss's graph. faiss 1.7.3 sizes its list of candidates by a field of the index instead of the search's parameter.
#pragma once
#include <cstddef>
#include <cstdint>
#include <faiss/impl/HNSW.h>

namespace kindred {

// What is searched in a graph over the rows [..][dimension].
struct GraphQuery {
  const float *vectors;
  size_t dimension;
  bool l2;
  const float *query;
  // Candidates that are kept, at least k (Malkov and Yashunin 2016, algorithm 2).
  size_t ef;
  // One bit a row; null: all. Rows that are not allowed are passed through, and take no candidate's place.
  const uint8_t *allowed;
};

// Positions [k], nearest first, -1 behind the last.
void SearchGraph(const faiss::HNSW &graph, const GraphQuery &query, size_t k, int64_t *positions);

}  // namespace kindred
