// Registers our own kernels as TensorFlow operations, through TensorFlow's C interface, when Node loads this addon.
#include <node_api.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"
#include "tensorflow/c/tf_tensor.h"
#include "buffer.h"
#include "norm.h"
#include "winograd.h"

namespace {

using kindred::ConvolutionShape;
using kindred::NormShape;
using kindred::WinogradKernels;

/** An operation's inputs, outputs and status during its run; ends what it holds. */
class Call {
 public:
  Call(TF_OpKernelContext* context, int inputs) : context_(context), status_(TF_NewStatus()) {
    for (int i = 0; i < inputs && ok(); i++) TF_GetInput(context, i, &inputs_[i], status_);
  }
  ~Call() {
    if (!ok()) TF_OpKernelContext_Failure(context_, status_);
    for (TF_Tensor* tensor : inputs_)
      if (tensor != nullptr) TF_DeleteTensor(tensor);
    for (TF_Tensor* tensor : outputs_)
      if (tensor != nullptr) TF_DeleteTensor(tensor);
    TF_DeleteStatus(status_);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  bool ok() const { return TF_GetCode(status_) == TF_OK; }
  void fail(const char* message) { TF_SetStatus(status_, TF_INVALID_ARGUMENT, message); }
  int rank(int input) const { return TF_NumDims(inputs_[input]); }
  int size(int input, int axis) const { return static_cast<int>(TF_Dim(inputs_[input], axis)); }
  const float* values(int input) const { return static_cast<const float*>(TF_TensorData(inputs_[input])); }
  /** Whether inputs `a` and `b` have one shape. */
  bool alike(int a, int b) const {
    if (rank(a) != rank(b)) return false;
    for (int axis = 0; axis < rank(a); axis++)
      if (size(a, axis) != size(b, axis)) return false;
    return true;
  }

  /** Memory for output `index`; null after a failure. */
  float* allocate(int index, std::initializer_list<int64_t> sizes) {
    if (!ok()) return nullptr;
    int64_t floats = 1;
    for (const int64_t size : sizes) floats *= size;
    outputs_[index] = TF_AllocateOutput(context_, index, TF_FLOAT, sizes.begin(), static_cast<int>(sizes.size()),
                                        static_cast<size_t>(floats) * sizeof(float), status_);
    return ok() ? static_cast<float*>(TF_TensorData(outputs_[index])) : nullptr;
  }

  /** Runs `work()` unless something failed before; an exception must not pass through TensorFlow. */
  template <typename Work>
  void run(Work work) {
    if (!ok()) return;
    try {
      work();
    } catch (const std::bad_alloc&) {
      TF_SetStatus(status_, TF_RESOURCE_EXHAUSTED, "no memory for the operation's intermediate values");
    } catch (...) {
      TF_SetStatus(status_, TF_INTERNAL, "the operation's kernel failed");
    }
  }

 private:
  static constexpr int most = 6;
  TF_OpKernelContext* context_;
  TF_Status* status_;
  TF_Tensor* inputs_[most] = {};
  TF_Tensor* outputs_[most] = {};
};

bool accepts(Call& call, bool fits, const ConvolutionShape& shape) {
  const auto allowed = [](int channels) { return channels > 0 && channels % kindred::channelMultiple == 0; };
  const bool empty = shape.images == 0 || shape.height == 0 || shape.width == 0;
  if (fits && !empty && allowed(shape.inputs) && allowed(shape.outputs)) return true;
  call.fail("allowed: float32 maps [n, h, w, c] that hold something and a filter [3, 3, c, k], c and k multiples of 32");
  return false;
}

bool haveRank4(Call& call) {
  if (!call.ok()) return false;
  if (call.rank(0) == 4 && call.rank(1) == 4) return true;
  call.fail("allowed: inputs of rank 4");
  return false;
}

void computeForward(void*, TF_OpKernelContext* context) {
  Call call(context, 2);
  if (!haveRank4(call)) return;
  const ConvolutionShape shape{call.size(0, 0), call.size(0, 1), call.size(0, 2), call.size(0, 3), call.size(1, 3)};
  if (!accepts(call, call.size(1, 0) == 3 && call.size(1, 1) == 3 && call.size(1, 2) == shape.inputs, shape)) return;
  float* const y = call.allocate(0, {shape.images, shape.height, shape.width, shape.outputs});
  call.run([&] { kindred::winogradKernels()->forward(shape, call.values(0), call.values(1), y); });
}

/** What a convolution of a network that no longer changes keeps from its first run on: its filter as the kernels take it. */
struct FrozenFilter {
  std::mutex mutex;
  std::unique_ptr<kindred::Buffer> values;
  bool relu = false;
  /** By tiles of 4x4 outputs in place of 2x2. */
  bool wide = false;
};

void* createFrozen(TF_OpKernelConstruction* construction) {
  TF_Status* const status = TF_NewStatus();
  auto* const frozen = new FrozenFilter{};
  const auto flag = [&](const char* name) {
    unsigned char value = 0;
    if (TF_GetCode(status) == TF_OK) TF_OpKernelConstruction_GetAttrBool(construction, name, &value, status);
    return value != 0;
  };
  frozen->relu = flag("relu");
  frozen->wide = flag("wide");
  if (TF_GetCode(status) != TF_OK) TF_OpKernelConstruction_Failure(construction, status);
  TF_DeleteStatus(status);
  return frozen;
}

void deleteFrozen(void* frozen) { delete static_cast<FrozenFilter*>(frozen); }

/** Inputs x, filter (a constant of the graph: what the first run got is kept), bias and, with `residual`, a map like y. */
template <bool residual>
void computeFrozen(void* state, TF_OpKernelContext* context) {
  Call call(context, residual ? 4 : 3);
  if (!haveRank4(call)) return;
  const ConvolutionShape shape{call.size(0, 0), call.size(0, 1), call.size(0, 2), call.size(0, 3), call.size(1, 3)};
  if (!accepts(call, call.size(1, 0) == 3 && call.size(1, 1) == 3 && call.size(1, 2) == shape.inputs, shape)) return;
  bool fits = call.rank(2) == 1 && call.size(2, 0) == shape.outputs;
  if (residual)
    fits = fits && call.rank(3) == 4 && call.size(3, 0) == shape.images && call.size(3, 1) == shape.height &&
           call.size(3, 2) == shape.width && call.size(3, 3) == shape.outputs;
  if (!fits) return call.fail("allowed: a bias [k] and a residual of the output's shape");
  float* const y = call.allocate(0, {shape.images, shape.height, shape.width, shape.outputs});
  call.run([&] {
    auto& frozen = *static_cast<FrozenFilter*>(state);
    const WinogradKernels* const kernels = kindred::winogradKernels();
    {
      const std::lock_guard<std::mutex> lock(frozen.mutex);
      if (frozen.values == nullptr) {
        auto values = std::make_unique<kindred::Buffer>(static_cast<size_t>(frozen.wide ? 36 : 16) * shape.inputs * shape.outputs);
        const auto freeze = frozen.wide ? kernels->freezeWideFilter : kernels->freezeFilter;
        freeze(call.values(1), shape.inputs, shape.outputs, values->data());
        frozen.values = std::move(values);
      }
    }
    const kindred::Ending ending{call.values(2), residual ? call.values(3) : nullptr, frozen.relu};
    const auto forward = frozen.wide ? kernels->forwardFrozenWide : kernels->forwardFrozen;
    forward(shape, call.values(0), frozen.values->data(), ending, y);
  });
}

void computeInputGradient(void*, TF_OpKernelContext* context) {
  Call call(context, 2);
  if (!haveRank4(call)) return;
  const ConvolutionShape shape{call.size(0, 0), call.size(0, 1), call.size(0, 2), call.size(1, 2), call.size(1, 3)};
  if (!accepts(call, call.size(1, 0) == 3 && call.size(1, 1) == 3 && call.size(0, 3) == shape.outputs, shape)) return;
  float* const dx = call.allocate(0, {shape.images, shape.height, shape.width, shape.inputs});
  call.run([&] { kindred::winogradKernels()->inputGradient(shape, call.values(0), call.values(1), dx); });
}

void computeFilterGradient(void*, TF_OpKernelContext* context) {
  Call call(context, 2);
  if (!haveRank4(call)) return;
  const ConvolutionShape shape{call.size(0, 0), call.size(0, 1), call.size(0, 2), call.size(0, 3), call.size(1, 3)};
  bool same = true;
  for (int axis = 0; axis < 3; axis++) same = same && call.size(0, axis) == call.size(1, axis);
  if (!accepts(call, same, shape)) return;
  float* const filter = call.allocate(0, {3, 3, shape.inputs, shape.outputs});
  call.run([&] { kindred::winogradKernels()->filterGradient(shape, call.values(0), call.values(1), filter); });
}

/** BatchNorm's epsilon, from the node's attribute. */
struct NormSettings {
  float epsilon;
};

void* createNorm(TF_OpKernelConstruction* construction) {
  TF_Status* const status = TF_NewStatus();
  auto* const settings = new NormSettings{};
  TF_OpKernelConstruction_GetAttrFloat(construction, "epsilon", &settings->epsilon, status);
  if (TF_GetCode(status) != TF_OK) TF_OpKernelConstruction_Failure(construction, status);
  TF_DeleteStatus(status);
  return settings;
}

void deleteNorm(void* settings) { delete static_cast<NormSettings*>(settings); }

/** Checks the map `x` and the arrays [channels] `from` to `to`; fails the call where they don't fit. */
bool takeNormShape(Call& call, int x, int from, int to, NormShape& shape) {
  if (!call.ok()) return false;
  bool fits = call.rank(x) == 4;
  if (fits) shape = {static_cast<size_t>(call.size(x, 0)) * call.size(x, 1) * call.size(x, 2), call.size(x, 3)};
  fits = fits && shape.rows > 0 && shape.channels > 0 && shape.channels % kindred::normChannelMultiple == 0;
  for (int i = from; i <= to; i++) fits = fits && call.rank(i) == 1 && call.size(i, 0) == shape.channels;
  if (!fits) call.fail("allowed: float32 maps [n, h, w, c] that hold something and arrays [c], c a multiple of 16");
  return fits;
}

/** Inputs x, scale, offset and, with `residual`, a map like x. Outputs y, mean, variance, inverse. */
template <bool residual>
void computeNorm(void* settings, TF_OpKernelContext* context) {
  Call call(context, residual ? 4 : 3);
  NormShape shape{};
  if (!takeNormShape(call, 0, 1, 2, shape)) return;
  if (residual && !call.alike(0, 3)) return call.fail("allowed: a residual of the map's shape");
  float* const y = call.allocate(0, {call.size(0, 0), call.size(0, 1), call.size(0, 2), shape.channels});
  float* statistics[3];
  for (int i = 0; i < 3; i++) statistics[i] = call.allocate(i + 1, {shape.channels});
  const kindred::NormLayer layer{call.values(1), call.values(2), static_cast<NormSettings*>(settings)->epsilon};
  call.run([&] {
    kindred::normKernels()->forward(shape, layer, call.values(0), residual ? call.values(3) : nullptr, y, statistics[0], statistics[1],
                                    statistics[2]);
  });
}

/** Inputs dy, x, scale, offset or (with `residual`) y, mean, inverse. Outputs dx, dscale, doffset and, with `residual`, its gradient. */
template <bool residual>
void computeNormGradient(void*, TF_OpKernelContext* context) {
  Call call(context, 6);
  NormShape shape{};
  if (!takeNormShape(call, 1, 2, 2, shape) || !takeNormShape(call, 1, 4, 5, shape)) return;
  const bool fits = call.alike(0, 1) && (residual ? call.alike(3, 1) : call.rank(3) == 1 && call.size(3, 0) == shape.channels);
  if (!fits) return call.fail("allowed: dy (and y) of the map's shape");
  const auto map = [&](int output) { return call.allocate(output, {call.size(1, 0), call.size(1, 1), call.size(1, 2), shape.channels}); };
  float* const dx = map(0);
  float* const dscale = call.allocate(1, {shape.channels});
  float* const doffset = call.allocate(2, {shape.channels});
  float* const dresidual = residual ? map(3) : nullptr;
  const kindred::NormLayer layer{call.values(2), residual ? call.values(2) : call.values(3), 0};
  call.run([&] {
    kindred::normKernels()->backward(shape, layer, call.values(0), residual ? call.values(3) : nullptr, call.values(1), call.values(4),
                                     call.values(5), dx, dscale, doffset, dresidual);
  });
}

void unknownShape(TF_ShapeInferenceContext* context, TF_Status* status) { TF_ShapeInferenceContextSetUnknownShape(context, status); }

struct Operation {
  const char* name;
  std::vector<const char*> inputs;
  std::vector<const char*> outputs;
  void (*compute)(void*, TF_OpKernelContext*);
  /** What a node keeps; none where the operation has no attributes. */
  std::vector<const char*> attributes = {};
  void* (*create)(TF_OpKernelConstruction*) = nullptr;
  void (*destroy)(void*) = nullptr;
};

const std::vector<const char*> epsilon = {"epsilon: float"};
const std::vector<const char*> frozenForm = {"relu: bool", "wide: bool = false"};

const std::vector<Operation> operations = {
    {"KindredConvolution", {"x: float", "filter: float"}, {"y: float"}, computeForward},
    {"KindredFrozenConvolution",
     {"x: float", "filter: float", "bias: float"},
     {"y: float"},
     computeFrozen<false>,
     frozenForm, createFrozen, deleteFrozen},
    {"KindredFrozenConvolutionAdd",
     {"x: float", "filter: float", "bias: float", "residual: float"},
     {"y: float"},
     computeFrozen<true>,
     frozenForm, createFrozen, deleteFrozen},
    {"KindredConvolutionInputGradient", {"dy: float", "filter: float"}, {"dx: float"}, computeInputGradient},
    {"KindredConvolutionFilterGradient", {"x: float", "dy: float"}, {"dfilter: float"}, computeFilterGradient},
    {"KindredNormRelu",
     {"x: float", "scale: float", "offset: float"},
     {"y: float", "mean: float", "variance: float", "inverse: float"},
     computeNorm<false>,
     epsilon, createNorm, deleteNorm},
    {"KindredNormAddRelu",
     {"x: float", "scale: float", "offset: float", "residual: float"},
     {"y: float", "mean: float", "variance: float", "inverse: float"},
     computeNorm<true>,
     epsilon, createNorm, deleteNorm},
    {"KindredNormReluGradient",
     {"dy: float", "x: float", "scale: float", "offset: float", "mean: float", "inverse: float"},
     {"dx: float", "dscale: float", "doffset: float"},
     computeNormGradient<false>},
    {"KindredNormAddReluGradient",
     {"dy: float", "x: float", "scale: float", "y: float", "mean: float", "inverse: float"},
     {"dx: float", "dscale: float", "doffset: float", "dresidual: float"},
     computeNormGradient<true>},
};

/** @return whether TensorFlow took all operations; `status` says why not. */
bool registerOperations(TF_Status* status) {
  for (const Operation& operation : operations) {
    TF_OpDefinitionBuilder* const builder = TF_NewOpDefinitionBuilder(operation.name);
    for (const char* input : operation.inputs) TF_OpDefinitionBuilderAddInput(builder, input);
    for (const char* output : operation.outputs) TF_OpDefinitionBuilderAddOutput(builder, output);
    for (const char* attribute : operation.attributes) TF_OpDefinitionBuilderAddAttr(builder, attribute);
    TF_OpDefinitionBuilderSetShapeInferenceFunction(builder, unknownShape);
    TF_RegisterOpDefinition(builder, status);
    if (TF_GetCode(status) != TF_OK) return false;
    TF_KernelBuilder* const kernel =
        TF_NewKernelBuilder(operation.name, "CPU", operation.create, operation.compute, operation.destroy);
    TF_RegisterKernelBuilder(operation.name, kernel, status);
    if (TF_GetCode(status) != TF_OK) return false;
  }
  return true;
}

/** Exports `instructions`: the instruction set in use, or null where the operations don't exist. */
napi_value init(napi_env env, napi_value exports) {
  const WinogradKernels* const kernels = kindred::winogradKernels();
  napi_value instructions;
  napi_get_null(env, &instructions);
  if (kernels != nullptr) {
    // Once a process, however many threads load the addon.
    static const bool registered = [] {
      TF_Status* const status = TF_NewStatus();
      const bool done = registerOperations(status);
      TF_DeleteStatus(status);
      return done;
    }();
    if (registered) napi_create_string_utf8(env, kernels->instructions, NAPI_AUTO_LENGTH, &instructions);
  }
  napi_set_named_property(env, exports, "instructions", instructions);
  return exports;
}

}  // namespace

NAPI_MODULE(kindred_operations, init)
