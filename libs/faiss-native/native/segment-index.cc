// Building, searching, saving and loading the indexes of faiss.
#include "segment-index.h"
#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <omp.h>
#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIDMap.h>
#include <faiss/IndexIVFFlat.h>
#include <faiss/IndexIVFPQ.h>
#include <faiss/IndexScalarQuantizer.h>
#include <faiss/impl/DistanceComputer.h>
#include <faiss/impl/IDSelector.h>
#include <faiss/impl/io.h>
#include <faiss/index_io.h>
#include "graph-search.h"
#include "scanner.h"

namespace kindred {

namespace {

// Rows that are added before the build looks whether it is still wanted.
constexpr size_t kRowsPerStep = 8192;

faiss::MetricType MetricOf(bool l2) { return l2 ? faiss::METRIC_L2 : faiss::METRIC_INNER_PRODUCT; }

// Distances by this repository's kernels: Debian's faiss is compiled for every x86-64 processor, without AVX.
struct RowDistances : faiss::DistanceComputer {
  RowDistances(const Rows &rows, bool l2) : rows(rows), l2(l2), scanner(BestScanner()) {}
  void set_query(const float *x) override { query = x; }
  float operator()(idx_t i) override { return Of(query, rows.vectors + static_cast<size_t>(i) * rows.dimension); }
  float symmetric_dis(idx_t i, idx_t j) override {
    return Of(rows.vectors + static_cast<size_t>(i) * rows.dimension, rows.vectors + static_cast<size_t>(j) * rows.dimension);
  }
  float Of(const float *a, const float *b) const {
    const float score = scanner.score(a, b, rows.dimension, l2);
    return l2 ? -score : score;
  }

  const Rows rows;
  const bool l2;
  const Scanner &scanner;
  const float *query = nullptr;
};

// Stands where faiss's HNSW has its copy of the vectors.
struct OutsideRows : faiss::Index {
  OutsideRows(const Rows &rows, bool l2) : faiss::Index(static_cast<idx_t>(rows.dimension), MetricOf(l2)), rows(rows), l2(l2) {}
  void add(idx_t n, const float *) override { ntotal += n; }
  void reset() override { ntotal = 0; }
  void search(idx_t, const float *, idx_t, float *, idx_t *, const faiss::SearchParameters *) const override {
    throw std::logic_error("rows are searched by the scanner");
  }
  faiss::DistanceComputer *get_distance_computer() const override { return new RowDistances(rows, l2); }
  void reconstruct(idx_t i, float *out) const override {
    std::memcpy(out, rows.vectors + static_cast<size_t>(i) * rows.dimension, rows.dimension * sizeof(float));
  }

  const Rows rows;
  const bool l2;
};

struct Bitmap : faiss::IDSelector {
  explicit Bitmap(const uint8_t *bits) : bits(bits) {}
  bool is_member(idx_t id) const override { return (bits[id >> 3] >> (id & 7)) & 1; }
  const uint8_t *bits;
};

struct MemoryReader : faiss::IOReader {
  MemoryReader(const uint8_t *data, size_t length) : data(data), length(length) {}
  size_t operator()(void *target, size_t size, size_t items) override {
    const size_t whole = size == 0 ? 0 : std::min(items, (length - at) / size);
    std::memcpy(target, data + at, whole * size);
    at += whole * size;
    return whole;
  }
  const uint8_t *data;
  size_t length;
  size_t at = 0;
};

std::unique_ptr<faiss::Index> Read(const uint8_t *bytes, size_t length) {
  MemoryReader reader(bytes, length);
  return std::unique_ptr<faiss::Index>(faiss::read_index(&reader));
}

std::unique_ptr<faiss::Index> Make(const Rows &rows, const IndexOptions &options) {
  const auto dimension = static_cast<int>(rows.dimension);
  const auto metric = MetricOf(options.l2);
  if (options.kind == IndexKind::kHnsw) {
    auto index = std::make_unique<faiss::IndexHNSWFlat>(dimension, static_cast<int>(options.links), metric);
    index->hnsw.efConstruction = static_cast<int>(options.ef_construction);
    return index;
  }
  if (options.kind == IndexKind::kSq8) {
    return std::make_unique<faiss::IndexScalarQuantizer>(dimension, faiss::ScalarQuantizer::QT_8bit, metric);
  }
  auto cells = std::make_unique<faiss::IndexFlat>(dimension, metric);
  std::unique_ptr<faiss::IndexIVF> index;
  if (options.kind == IndexKind::kIvfPq) {
    index = std::make_unique<faiss::IndexIVFPQ>(cells.get(), dimension, options.lists, options.subvectors, 8, metric);
  } else {
    index = std::make_unique<faiss::IndexIVFFlat>(cells.get(), dimension, options.lists, metric);
  }
  index->own_fields = true;
  cells.release();
  return index;
}

}  // namespace

SegmentIndex::SegmentIndex(IndexKind kind, const Rows &rows) : kind_(kind), rows_(rows) {}

SegmentIndex::~SegmentIndex() = default;

// An HNSW index that was made or read has an empty copy of the vectors; it gets the rows instead.
void SegmentIndex::UseRows() {
  if (kind_ != IndexKind::kHnsw) return;
  auto &hnsw = static_cast<faiss::IndexHNSWFlat &>(*index_);
  storage_ = std::make_unique<OutsideRows>(rows_, hnsw.metric_type == faiss::METRIC_L2);
  storage_->ntotal = hnsw.ntotal;
  if (hnsw.own_fields) delete hnsw.storage;
  hnsw.own_fields = false;
  hnsw.storage = storage_.get();
}

std::unique_ptr<SegmentIndex> SegmentIndex::Build(const Rows &rows, const IndexOptions &options,
                                                  const std::function<bool()> &cancelled) {
  omp_set_num_threads(options.threads);
  std::unique_ptr<SegmentIndex> made(new SegmentIndex(options.kind, rows));
  made->index_ = Make(rows, options);
  made->UseRows();
  if (options.kind != IndexKind::kHnsw) made->index_->train(static_cast<faiss::Index::idx_t>(rows.count), rows.vectors);
  for (size_t row = 0; row < rows.count; row += kRowsPerStep) {
    if (cancelled()) throw std::runtime_error("cancelled");
    const size_t count = std::min(kRowsPerStep, rows.count - row);
    made->index_->add(static_cast<faiss::Index::idx_t>(count), rows.vectors + row * rows.dimension);
  }
  made->bytes_ = made->Save().size();
  return made;
}

std::unique_ptr<SegmentIndex> SegmentIndex::Load(const uint8_t *bytes, size_t length, const Rows &rows, IndexKind kind, bool l2) {
  std::unique_ptr<SegmentIndex> made(new SegmentIndex(kind, rows));
  made->index_ = Read(bytes, length);
  const auto *index = made->index_.get();
  const auto *hnsw = dynamic_cast<const faiss::IndexHNSWFlat *>(index);
  const bool right = kind == IndexKind::kHnsw     ? hnsw != nullptr && hnsw->hnsw.levels.size() == rows.count
                     : kind == IndexKind::kIvfPq  ? dynamic_cast<const faiss::IndexIVFPQ *>(index) != nullptr
                     : kind == IndexKind::kIvfFlat ? dynamic_cast<const faiss::IndexIVFFlat *>(index) != nullptr
                                                   : dynamic_cast<const faiss::IndexScalarQuantizer *>(index) != nullptr;
  if (!right || static_cast<size_t>(index->d) != rows.dimension || static_cast<size_t>(index->ntotal) != rows.count ||
      index->metric_type != MetricOf(l2)) {
    throw std::runtime_error("it is not an index of this kind over these rows");
  }
  made->UseRows();
  made->bytes_ = length;
  return made;
}

void SegmentIndex::Search(const float *query, const IndexSearch &search, int64_t *positions) const {
  Bitmap bitmap(search.allowed);
  faiss::IDSelector *selector = search.allowed == nullptr ? nullptr : &bitmap;
  std::vector<float> distances(search.k);
  const auto k = static_cast<faiss::Index::idx_t>(search.k);
  if (kind_ == IndexKind::kHnsw) {
    const auto &graph = static_cast<const faiss::IndexHNSW &>(*index_);
    const bool l2 = graph.metric_type == faiss::METRIC_L2;
    SearchGraph(graph.hnsw, {rows_.vectors, rows_.dimension, l2, query, std::max(search.ef_search, search.k), search.allowed},
                search.k, positions);
  } else if (kind_ == IndexKind::kSq8) {
    faiss::SearchParameters parameters;
    parameters.sel = selector;
    index_->search(1, query, k, distances.data(), positions, &parameters);
  } else {
    const auto &ivf = static_cast<const faiss::IndexIVF &>(*index_);
    faiss::SearchParametersIVF parameters;
    parameters.sel = selector;
    const size_t probes = search.probes == 0 ? std::max<size_t>(8, ivf.nlist / 16) : search.probes;
    parameters.nprobe = std::min(ivf.nlist, probes);
    index_->search(1, query, k, distances.data(), positions, &parameters);
  }
}

std::vector<uint8_t> SegmentIndex::Save() const {
  faiss::VectorIOWriter writer;
  if (kind_ != IndexKind::kHnsw) {
    faiss::write_index(index_.get(), &writer);
    return std::move(writer.data);
  }
  auto &hnsw = static_cast<faiss::IndexHNSWFlat &>(*index_);
  // Only the builder and tests call this while nobody searches, so the storage may be another one for a moment.
  faiss::IndexFlat empty(hnsw.d, hnsw.metric_type);
  hnsw.storage = &empty;
  try {
    faiss::write_index(&hnsw, &writer);
  } catch (...) {
    hnsw.storage = storage_.get();
    throw;
  }
  hnsw.storage = storage_.get();
  return std::move(writer.data);
}

void ExportFaiss(const std::string &path, const uint8_t *index, size_t length, const Rows &rows, bool l2, const int64_t *ids) {
  const auto count = static_cast<faiss::Index::idx_t>(rows.count);
  auto flat = std::make_unique<faiss::IndexFlat>(static_cast<faiss::Index::idx_t>(rows.dimension), MetricOf(l2));
  std::unique_ptr<faiss::Index> whole;
  if (index != nullptr) whole = Read(index, length);
  auto *hnsw = dynamic_cast<faiss::IndexHNSWFlat *>(whole.get());
  if (whole == nullptr || hnsw != nullptr) flat->add(count, rows.vectors);
  if (hnsw != nullptr) {
    if (hnsw->own_fields) delete hnsw->storage;
    hnsw->own_fields = true;
    hnsw->storage = flat.release();
  } else if (whole == nullptr) {
    whole = std::move(flat);
  }
  // The constructor takes empty indexes only.
  faiss::IndexIDMap map;
  map.index = whole.get();
  map.d = whole->d;
  map.metric_type = whole->metric_type;
  map.id_map.assign(ids, ids + rows.count);
  map.ntotal = count;
  faiss::write_index(&map, path.c_str());
}

}  // namespace kindred
