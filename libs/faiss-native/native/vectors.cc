// Searches and index builds as promises, on threads of their own; the memory that they read is held until they end.
#include "vectors.h"
#include <omp.h>
#include <algorithm>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include "crc32c.h"
#include "segment-index.h"
#include "segment-search.h"
#include "task-pool.h"

namespace kindred {

namespace {

constexpr int kBuilderNice = 10;

TaskPool &Searchers() {
  // As many as OMP_NUM_THREADS says, else a core each: libgomp's number, as for mining.
  static TaskPool pool(static_cast<size_t>(std::max(1, omp_get_max_threads())), 0);
  return pool;
}

// Builds, loads and saves: one at a time, behind the searches.
TaskPool &Builder() {
  static TaskPool pool(1, kBuilderNice);
  return pool;
}

// What one JavaScript thread has: the class of indexes, and the way back to the thread for all its promises.
struct Instance {
  Napi::FunctionReference index;
  Napi::ThreadSafeFunction back;
  size_t pending = 0;
};

Instance &InstanceOf(Napi::Env env) { return *env.GetInstanceData<Instance>(); }

using Finish = std::function<Napi::Value(Napi::Env, Napi::Object held)>;

// A promise that another thread fulfils, and the JavaScript values that the work reads meanwhile.
class Pending {
 public:
  Pending(Napi::Env env, Napi::Object held)
      : deferred_(Napi::Promise::Deferred::New(env)), held_(Napi::Persistent(held)), back_(InstanceOf(env).back) {
    // The process goes on living for as long as something is under way, no longer.
    if (InstanceOf(env).pending++ == 0) back_.Ref(env);
  }
  Napi::Promise promise() const { return deferred_.Promise(); }
  // From any thread, once: `finish` makes the result in JavaScript's thread; `error` rejects if it is not empty.
  void End(std::string error, Finish finish) {
    auto *self = this;
    back_.BlockingCall([self, error = std::move(error), finish = std::move(finish)](Napi::Env env, Napi::Function) {
      std::unique_ptr<Pending> owned(self);
      Napi::HandleScope scope(env);
      if (--InstanceOf(env).pending == 0) self->back_.Unref(env);
      if (error.empty()) {
        self->deferred_.Resolve(finish(env, self->held_.Value()));
      } else {
        self->deferred_.Reject(Napi::Error::New(env, error).Value());
      }
    });
  }

 private:
  Napi::Promise::Deferred deferred_;
  Napi::ObjectReference held_;
  Napi::ThreadSafeFunction back_;
};

// Work in one part.
class Once : public Task {
 public:
  explicit Once(std::function<void()> work) : work_(std::move(work)) {}
  size_t parts() const override { return 1; }
  void RunPart(size_t) override { work_(); }
  void Done() override {}

 private:
  std::function<void()> work_;
};

template <class Array>
Array Typed(const Napi::Object &object, const char *name, napi_typedarray_type type) {
  const Napi::Value value = object.Get(name);
  if (value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == type) return value.As<Array>();
  throw Napi::TypeError::New(object.Env(), std::string(name) + ": not the typed array that is needed");
}

size_t Number(const Napi::Object &object, const char *name) {
  const double value = object.Get(name).ToNumber().DoubleValue();
  if (value >= 0 && value <= 9007199254740991.0) return static_cast<size_t>(value);
  throw Napi::RangeError::New(object.Env(), std::string(name) + ": allowed: 0 or more");
}

Rows RowsOf(const Napi::Object &object) {
  const auto vectors = Typed<Napi::Float32Array>(object, "vectors", napi_float32_array);
  const Rows rows = {vectors.Data(), Number(object, "rows"), Number(object, "dimension")};
  if (rows.dimension > 0 && rows.count <= vectors.ElementLength() / rows.dimension) return rows;
  throw Napi::RangeError::New(object.Env(), "rows: more than the vectors hold");
}

IndexKind KindOf(const Napi::Object &object) {
  const std::string kind = object.Get("kind").ToString().Utf8Value();
  if (kind == "hnsw") return IndexKind::kHnsw;
  if (kind == "ivf-flat") return IndexKind::kIvfFlat;
  if (kind == "ivf-pq") return IndexKind::kIvfPq;
  if (kind == "sq8") return IndexKind::kSq8;
  throw Napi::RangeError::New(object.Env(), "kind: got '" + kind + "'; allowed: hnsw, ivf-flat, ivf-pq, sq8");
}

// What JavaScript holds of an index. Closed, it is freed once no search uses it.
class IndexHandle : public Napi::ObjectWrap<IndexHandle> {
 public:
  explicit IndexHandle(const Napi::CallbackInfo &info) : Napi::ObjectWrap<IndexHandle>(info) {}

  // The rows' memory belongs to `request`, which lives as long as this.
  static Napi::Value Make(Napi::Env env, std::shared_ptr<SegmentIndex> index, Napi::Object request) {
    Napi::Object object = InstanceOf(env).index.New({});
    object.Set("rowsOfIndex", request.Get("vectors"));
    auto *handle = Unwrap(object);
    handle->index_ = std::move(index);
    Napi::MemoryManagement::AdjustExternalMemory(env, static_cast<int64_t>(handle->index_->bytes()));
    return object;
  }
  static std::shared_ptr<SegmentIndex> Get(const Napi::Value &value) {
    if (!value.IsObject()) return nullptr;
    auto index = Unwrap(value.As<Napi::Object>())->index_;
    if (index == nullptr) throw Napi::Error::New(value.Env(), "the index is closed");
    return index;
  }
  Napi::Value Bytes(const Napi::CallbackInfo &info) {
    return Napi::Number::New(info.Env(), index_ == nullptr ? 0 : static_cast<double>(index_->bytes()));
  }
  Napi::Value Close(const Napi::CallbackInfo &info) {
    if (index_ != nullptr) Napi::MemoryManagement::AdjustExternalMemory(info.Env(), -static_cast<int64_t>(index_->bytes()));
    index_.reset();
    return info.Env().Undefined();
  }

 private:
  std::shared_ptr<SegmentIndex> index_;
};

// search({segments: [{vectors, rows, dimension, allowed, index}], queries, dimension, k, l2, efSearch, probes, refine, cancelled})
Napi::Value Search(const Napi::CallbackInfo &info) {
  const Napi::Env env = info.Env();
  const auto given = info[0].As<Napi::Object>();
  SearchRequest request;
  const auto queries = Typed<Napi::Float32Array>(given, "queries", napi_float32_array);
  request.queries = queries.Data();
  request.dimension = Number(given, "dimension");
  request.count = request.dimension == 0 ? 0 : queries.ElementLength() / request.dimension;
  request.k = Number(given, "k");
  request.l2 = given.Get("l2").ToBoolean();
  request.ef_search = Number(given, "efSearch");
  request.probes = Number(given, "probes");
  request.refine = std::max<size_t>(1, Number(given, "refine"));
  request.cancelled = reinterpret_cast<const std::atomic<int32_t> *>(Typed<Napi::Int32Array>(given, "cancelled", napi_int32_array).Data());
  if (request.count == 0 || request.k == 0) throw Napi::RangeError::New(env, "queries and k: allowed: 1 or more");
  auto indexes = std::make_shared<std::vector<std::shared_ptr<SegmentIndex>>>();
  const auto segments = given.Get("segments").As<Napi::Array>();
  size_t all = 0;
  for (uint32_t i = 0; i < segments.Length(); i++) {
    const auto one = segments.Get(i).As<Napi::Object>();
    Segment segment = {RowsOf(one), nullptr, nullptr};
    if (segment.rows.dimension != request.dimension) throw Napi::RangeError::New(env, "segments: another dimension");
    if (!one.Get("allowed").IsNull()) {
      const auto allowed = Typed<Napi::Uint8Array>(one, "allowed", napi_uint8_array);
      if (allowed.ElementLength() * 8 < segment.rows.count) throw Napi::RangeError::New(env, "allowed: too short");
      segment.allowed = allowed.Data();
    }
    indexes->push_back(IndexHandle::Get(one.Get("index")));
    segment.index = indexes->back().get();
    all += segment.rows.count;
    request.segments.push_back(segment);
  }
  if (all >= INT32_MAX) throw Napi::RangeError::New(env, "segments: allowed: below 2^31 rows");
  auto scores = Napi::Float32Array::New(env, request.count * request.k);
  auto positions = Napi::Int32Array::New(env, request.count * request.k);
  auto held = Napi::Object::New(env);
  held.Set("request", given);
  held.Set("scores", scores);
  held.Set("positions", positions);
  float *score_data = scores.Data();
  int32_t *position_data = positions.Data();
  auto *pending = new Pending(env, held);
  const auto promise = pending->promise();
  const auto *cancelled = request.cancelled;
  Searchers().Add(std::make_shared<SegmentSearch>(
      std::move(request), Searchers().threads(), [=](SegmentSearch &search) {
        std::string error = search.error();
        if (*cancelled != 0) error = "cancelled";
        if (error.empty()) search.Write(score_data, position_data);
        // The request is held as long as the result is.
        pending->End(error, [](Napi::Env, Napi::Object result) -> Napi::Value {
          result.Delete("request");
          return result;
        });
        (void)indexes;
      }));
  return promise;
}

// Runs `work` on the builder's thread; what it returns is made into JavaScript's result.
Napi::Value Later(Napi::Env env, Napi::Object held, std::function<Finish()> work) {
  auto *pending = new Pending(env, held);
  const auto promise = pending->promise();
  Builder().Add(std::make_shared<Once>([pending, work = std::move(work)] {
    Finish finish;
    std::string error;
    try {
      finish = work();
    } catch (const std::bad_alloc &) {
      error = "out of memory";
    } catch (const std::exception &thrown) {
      error = thrown.what();
    } catch (...) {
      error = "an unknown exception";
    }
    pending->End(error, finish);
  }));
  return promise;
}

// buildIndex({vectors, rows, dimension, kind, l2, links, efConstruction, lists, subvectors, threads, cancelled})
Napi::Value BuildIndex(const Napi::CallbackInfo &info) {
  const auto given = info[0].As<Napi::Object>();
  const Rows rows = RowsOf(given);
  const IndexOptions options = {KindOf(given), given.Get("l2").ToBoolean(), Number(given, "links"), Number(given, "efConstruction"),
                                Number(given, "lists"), Number(given, "subvectors"), static_cast<int>(Number(given, "threads"))};
  const auto *flag = reinterpret_cast<const std::atomic<int32_t> *>(Typed<Napi::Int32Array>(given, "cancelled", napi_int32_array).Data());
  return Later(info.Env(), given, [=]() -> Finish {
    std::shared_ptr<SegmentIndex> index = SegmentIndex::Build(rows, options, [flag] { return *flag != 0; });
    auto saved = std::make_shared<std::vector<uint8_t>>(index->Save());
    return [index, saved](Napi::Env env, Napi::Object held) -> Napi::Value {
      auto result = Napi::Object::New(env);
      result.Set("index", IndexHandle::Make(env, index, held));
      result.Set("bytes", Napi::Buffer<uint8_t>::Copy(env, saved->data(), saved->size()));
      return result;
    };
  });
}

// loadIndex({vectors, rows, dimension, kind, l2, bytes})
Napi::Value LoadIndex(const Napi::CallbackInfo &info) {
  const auto given = info[0].As<Napi::Object>();
  const Rows rows = RowsOf(given);
  const IndexKind kind = KindOf(given);
  const bool l2 = given.Get("l2").ToBoolean();
  const auto bytes = Typed<Napi::Uint8Array>(given, "bytes", napi_uint8_array);
  const uint8_t *data = bytes.Data();
  const size_t length = bytes.ElementLength();
  return Later(info.Env(), given, [=]() -> Finish {
    std::shared_ptr<SegmentIndex> index = SegmentIndex::Load(data, length, rows, kind, l2);
    return [index](Napi::Env env, Napi::Object held) -> Napi::Value { return IndexHandle::Make(env, index, held); };
  });
}

// exportFaiss({path, vectors, rows, dimension, l2, bytes | null, ids})
Napi::Value ExportFile(const Napi::CallbackInfo &info) {
  const auto given = info[0].As<Napi::Object>();
  const Rows rows = RowsOf(given);
  const bool l2 = given.Get("l2").ToBoolean();
  const std::string path = given.Get("path").ToString().Utf8Value();
  const uint8_t *data = nullptr;
  size_t length = 0;
  if (!given.Get("bytes").IsNull()) {
    const auto bytes = Typed<Napi::Uint8Array>(given, "bytes", napi_uint8_array);
    data = bytes.Data();
    length = bytes.ElementLength();
  }
  const auto ids = Typed<Napi::BigInt64Array>(given, "ids", napi_bigint64_array);
  if (ids.ElementLength() < rows.count) throw Napi::RangeError::New(info.Env(), "ids: too few");
  const int64_t *id_data = ids.Data();
  return Later(info.Env(), given, [=]() -> Finish {
    ExportFaiss(path, data, length, rows, l2, id_data);
    return [](Napi::Env env, Napi::Object) -> Napi::Value { return env.Undefined(); };
  });
}

// crc32c(bytes: Uint8Array, before: number): number
Napi::Value Checksum(const Napi::CallbackInfo &info) {
  if (!info[0].IsTypedArray() || info[0].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throw Napi::TypeError::New(info.Env(), "bytes: allowed: a Uint8Array");
  }
  const auto bytes = info[0].As<Napi::Uint8Array>();
  const uint32_t before = info[1].ToNumber().Uint32Value();
  return Napi::Number::New(info.Env(), Crc32c(before, bytes.Data(), bytes.ElementLength()));
}

}  // namespace

void InitVectors(Napi::Env env, Napi::Object exports) {
  const auto constructor = IndexHandle::DefineClass(
      env, "SegmentIndex",
      {Napi::ObjectWrap<IndexHandle>::InstanceMethod("bytes", &IndexHandle::Bytes),
       Napi::ObjectWrap<IndexHandle>::InstanceMethod("close", &IndexHandle::Close)});
  auto *instance = new Instance();
  instance->index = Napi::Persistent(constructor);
  instance->back = Napi::ThreadSafeFunction::New(env, Napi::Function::New(env, [](const Napi::CallbackInfo &) {}), "kindred", 0, 1);
  instance->back.Unref(env);
  env.SetInstanceData(instance);
  exports.Set("search", Napi::Function::New(env, Search));
  exports.Set("buildIndex", Napi::Function::New(env, BuildIndex));
  exports.Set("loadIndex", Napi::Function::New(env, LoadIndex));
  exports.Set("exportFaiss", Napi::Function::New(env, ExportFile));
  exports.Set("crc32c", Napi::Function::New(env, Checksum));
}

}  // namespace kindred
