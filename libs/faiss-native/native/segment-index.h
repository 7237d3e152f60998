// An index of faiss over vectors that lie elsewhere.
#pragma once
#include <functional>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>
#include <faiss/Index.h>

namespace kindred {

enum class IndexKind { kHnsw, kIvfFlat, kIvfPq, kSq8 };

// What an index is built with; values that a kind does not know are not read.
struct IndexOptions {
  IndexKind kind;
  bool l2;
  size_t links;
  size_t ef_construction;
  size_t lists;
  size_t subvectors;
  // Cores that building may use.
  int threads;
};

// What a search may set.
struct IndexSearch {
  size_t k;
  size_t ef_search;
  size_t probes;
  // One bit a row; null: all.
  const uint8_t *allowed;
};

// Rows [rows][dimension] that somebody else keeps in memory for as long as the index lives.
struct Rows {
  const float *vectors;
  size_t count;
  size_t dimension;
};

// Built once, then only searched, by any number of threads.
class SegmentIndex {
 public:
  // `cancelled` is looked at now and then. Throws std::exception.
  static std::unique_ptr<SegmentIndex> Build(const Rows &rows, const IndexOptions &options, const std::function<bool()> &cancelled);
  // From what Save gave. Throws when it is not an index of that kind over these rows.
  static std::unique_ptr<SegmentIndex> Load(const uint8_t *bytes, size_t length, const Rows &rows, IndexKind kind, bool l2);
  ~SegmentIndex();

  // Positions [k], nearest first, -1 behind the last. Throws std::exception.
  void Search(const float *query, const IndexSearch &search, int64_t *positions) const;

  // The index without the vectors where it has them from outside.
  std::vector<uint8_t> Save() const;

  // Memory beside the rows, in bytes, about.
  size_t bytes() const { return bytes_; }

 private:
  SegmentIndex(IndexKind kind, const Rows &rows);
  void UseRows();

  IndexKind kind_;
  Rows rows_;
  std::unique_ptr<faiss::Index> storage_;
  std::unique_ptr<faiss::Index> index_;
  size_t bytes_ = 0;
};

// Writes a file for plain faiss: an IndexIDMap that answers `ids`; ids of -1 are rows that nobody shall find. `index` as from
// Save, or null: flat. Throws std::exception.
void ExportFaiss(const std::string &path, const uint8_t *index, size_t length, const Rows &rows, bool l2, const int64_t *ids);

}  // namespace kindred
