// What Node sees: the class `Mining`, whose calls are synchronous, the names of its kernels, and what vectors.cc has.
#include <napi.h>
#include <omp.h>
#include <cmath>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include "mining.h"
#include "vectors.h"

namespace {

constexpr double kMostThreads = 1024;

// A whole number from 1 to `most`, or a JavaScript error that names `what`.
size_t ReadWhole(const Napi::Value &value, const char *what, double most) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : 0;
  if (number >= 1 && number <= most && number == std::floor(number)) return static_cast<size_t>(number);
  throw Napi::RangeError::New(value.Env(), std::string(what) + ": got " + value.ToString().Utf8Value() +
                                               "; allowed: a whole number from 1 to " + std::to_string(static_cast<int64_t>(most)));
}

kindred::Kernel ReadKernel(const Napi::Value &value) {
  const auto kernels = kindred::SupportedKernels();
  if (value.IsUndefined() || value.IsNull()) return kernels.front();
  const std::string name = value.ToString().Utf8Value();
  for (const auto &kernel : kernels) {
    if (name == kernel.name) return kernel;
  }
  throw Napi::RangeError::New(value.Env(), "this processor has no kernel '" + name + "'");
}

class Mining : public Napi::ObjectWrap<Mining> {
 public:
  // new Mining(rows, dimension, k, kernel?, threads?)
  explicit Mining(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Mining>(info) {
    const size_t rows = ReadWhole(info[0], "rows", INT32_MAX - 1);
    const size_t dimension = ReadWhole(info[1], "dimension", INT32_MAX);
    const size_t k = ReadWhole(info[2], "k", static_cast<double>(rows));
    const auto kernel = ReadKernel(info[3]);
    const size_t threads = info[4].IsUndefined() ? omp_get_max_threads() : ReadWhole(info[4], "threads", kMostThreads);
    try {
      mining_ = std::make_unique<kindred::Mining>(rows, dimension, k, kernel, threads);
    } catch (const std::bad_alloc &) {
      throw Napi::Error::New(info.Env(), "mining ran out of memory");
    }
  }

  // add(vectors: Float32Array): the next vectors, copied.
  Napi::Value Add(const Napi::CallbackInfo &info) {
    const Napi::Env env = info.Env();
    if (!info[0].IsTypedArray() || info[0].As<Napi::TypedArray>().TypedArrayType() != napi_float32_array) {
      throw Napi::TypeError::New(env, "vectors: allowed: a Float32Array");
    }
    const auto vectors = info[0].As<Napi::Float32Array>();
    const size_t count = vectors.ElementLength() / mining_->dimension();
    if (count * mining_->dimension() != vectors.ElementLength() || count > mining_->missing()) {
      throw Napi::RangeError::New(env, "vectors: got " + std::to_string(vectors.ElementLength()) +
                                           " numbers; allowed: a multiple of " + std::to_string(mining_->dimension()) +
                                           ", at most " + std::to_string(mining_->missing()) + " vectors");
    }
    mining_->Add(vectors.Data(), count);
    return env.Undefined();
  }

  Napi::Value Rounds(const Napi::CallbackInfo &info) {
    return Napi::Number::New(info.Env(), static_cast<double>(mining_->rounds()));
  }

  // advance(rounds): plays that many rounds.
  Napi::Value Advance(const Napi::CallbackInfo &info) {
    const size_t count = ReadWhole(info[0], "rounds", INT32_MAX);
    for (size_t i = 0; i < count; i++) mining_->Advance();
    return info.Env().Undefined();
  }

  // result(): { scores: Float32Array, positions: Int32Array }, null when some products are no numbers.
  Napi::Value Result(const Napi::CallbackInfo &info) {
    const Napi::Env env = info.Env();
    const size_t length = mining_->rows() * mining_->k();
    auto scores = Napi::Float32Array::New(env, length);
    auto positions = Napi::Int32Array::New(env, length);
    if (!mining_->Write(scores.Data(), positions.Data())) return env.Null();
    auto result = Napi::Object::New(env);
    result.Set("scores", scores);
    result.Set("positions", positions);
    return result;
  }

 private:
  std::unique_ptr<kindred::Mining> mining_;
};

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  using Wrap = Napi::ObjectWrap<Mining>;
  exports.Set("Mining", Mining::DefineClass(env, "Mining",
                                            {Wrap::InstanceMethod("add", &Mining::Add),
                                             Wrap::InstanceMethod("rounds", &Mining::Rounds),
                                             Wrap::InstanceMethod("advance", &Mining::Advance),
                                             Wrap::InstanceMethod("result", &Mining::Result)}));
  const auto kernels = kindred::SupportedKernels();
  auto names = Napi::Array::New(env, kernels.size());
  for (size_t i = 0; i < kernels.size(); i++) names.Set(static_cast<uint32_t>(i), kernels[i].name);
  exports.Set("kernels", names);
  kindred::InitVectors(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(kindred_faiss, Init)
