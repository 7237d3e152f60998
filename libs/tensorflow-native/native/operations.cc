// Registers the Winograd convolutions as TensorFlow operations, through TensorFlow's C interface, when Node loads this addon.
#include <node_api.h>

#include <cstdint>
#include <new>

#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"
#include "tensorflow/c/tf_tensor.h"
#include "winograd.h"

namespace {

using kindred::ConvolutionShape;
using kindred::WinogradKernels;

/** An operation's two inputs and the status of its run; ends what it holds. */
class Call {
 public:
  explicit Call(TF_OpKernelContext* context) : context_(context), status_(TF_NewStatus()) {
    for (int i = 0; i < 2; i++) {
      TF_GetInput(context, i, &inputs_[i], status_);
      if (TF_GetCode(status_) != TF_OK) return;
    }
  }
  ~Call() {
    if (TF_GetCode(status_) != TF_OK) TF_OpKernelContext_Failure(context_, status_);
    for (TF_Tensor* tensor : inputs_)
      if (tensor != nullptr) TF_DeleteTensor(tensor);
    if (output_ != nullptr) TF_DeleteTensor(output_);
    TF_DeleteStatus(status_);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  bool ok() const { return TF_GetCode(status_) == TF_OK; }
  void fail(const char* message) { TF_SetStatus(status_, TF_INVALID_ARGUMENT, message); }
  bool hasRank(int input) const { return TF_NumDims(inputs_[input]) == 4; }
  int size(int input, int axis) const { return static_cast<int>(TF_Dim(inputs_[input], axis)); }
  const float* values(int input) const { return static_cast<const float*>(TF_TensorData(inputs_[input])); }

  /** Memory for the result; null after a failure. */
  float* allocate(int64_t a, int64_t b, int64_t c, int64_t d) {
    const int64_t sizes[4] = {a, b, c, d};
    output_ = TF_AllocateOutput(context_, 0, TF_FLOAT, sizes, 4, static_cast<size_t>(a * b * c * d) * sizeof(float), status_);
    return ok() ? static_cast<float*>(TF_TensorData(output_)) : nullptr;
  }

 private:
  TF_OpKernelContext* context_;
  TF_Status* status_;
  TF_Tensor* inputs_[2] = {nullptr, nullptr};
  TF_Tensor* output_ = nullptr;
};

bool accepts(Call& call, bool fits, const ConvolutionShape& shape) {
  if (fits && shape.inputs % kindred::channelMultiple == 0 && shape.outputs % kindred::channelMultiple == 0) return true;
  call.fail("allowed: float32 maps [n, h, w, c] and a filter [3, 3, c, k], c and k multiples of 32");
  return false;
}

/** Runs `work(shape)`; an exception must not pass through TensorFlow. */
template <typename Work>
void guarded(Call& call, Work work) {
  try {
    work();
  } catch (const std::bad_alloc&) {
    call.fail("no memory for a convolution's transformed tiles");
  }
}

void computeForward(void*, TF_OpKernelContext* context) {
  Call call(context);
  if (!call.ok()) return;
  const bool ranks = call.hasRank(0) && call.hasRank(1);
  if (!ranks) return call.fail("allowed: inputs of rank 4");
  const ConvolutionShape shape{call.size(0, 0), call.size(0, 1), call.size(0, 2), call.size(0, 3), call.size(1, 3)};
  if (!accepts(call, call.size(1, 0) == 3 && call.size(1, 1) == 3 && call.size(1, 2) == shape.inputs, shape)) return;
  float* const y = call.allocate(shape.images, shape.height, shape.width, shape.outputs);
  if (y != nullptr) guarded(call, [&] { kindred::winogradKernels()->forward(shape, call.values(0), call.values(1), y); });
}

void computeInputGradient(void*, TF_OpKernelContext* context) {
  Call call(context);
  if (!call.ok()) return;
  if (!call.hasRank(0) || !call.hasRank(1)) return call.fail("allowed: inputs of rank 4");
  const ConvolutionShape shape{call.size(0, 0), call.size(0, 1), call.size(0, 2), call.size(1, 2), call.size(1, 3)};
  if (!accepts(call, call.size(1, 0) == 3 && call.size(1, 1) == 3 && call.size(0, 3) == shape.outputs, shape)) return;
  float* const dx = call.allocate(shape.images, shape.height, shape.width, shape.inputs);
  if (dx != nullptr) guarded(call, [&] { kindred::winogradKernels()->inputGradient(shape, call.values(0), call.values(1), dx); });
}

void computeFilterGradient(void*, TF_OpKernelContext* context) {
  Call call(context);
  if (!call.ok()) return;
  if (!call.hasRank(0) || !call.hasRank(1)) return call.fail("allowed: inputs of rank 4");
  const ConvolutionShape shape{call.size(0, 0), call.size(0, 1), call.size(0, 2), call.size(0, 3), call.size(1, 3)};
  bool same = true;
  for (int axis = 0; axis < 3; axis++) same = same && call.size(0, axis) == call.size(1, axis);
  if (!accepts(call, same, shape)) return;
  float* const filter = call.allocate(3, 3, shape.inputs, shape.outputs);
  if (filter != nullptr)
    guarded(call, [&] { kindred::winogradKernels()->filterGradient(shape, call.values(0), call.values(1), filter); });
}

void unknownShape(TF_ShapeInferenceContext* context, TF_Status* status) { TF_ShapeInferenceContextSetUnknownShape(context, status); }

struct Operation {
  const char* name;
  const char* inputs[2];
  const char* output;
  void (*compute)(void*, TF_OpKernelContext*);
};

constexpr Operation operations[] = {
    {"KindredConvolution", {"x: float", "filter: float"}, "y: float", computeForward},
    {"KindredConvolutionInputGradient", {"dy: float", "filter: float"}, "dx: float", computeInputGradient},
    {"KindredConvolutionFilterGradient", {"x: float", "dy: float"}, "dfilter: float", computeFilterGradient},
};

/** @return whether TensorFlow took all operations; `status` says why not. */
bool registerOperations(TF_Status* status) {
  for (const Operation& operation : operations) {
    TF_OpDefinitionBuilder* const builder = TF_NewOpDefinitionBuilder(operation.name);
    for (const char* input : operation.inputs) TF_OpDefinitionBuilderAddInput(builder, input);
    TF_OpDefinitionBuilderAddOutput(builder, operation.output);
    TF_OpDefinitionBuilderSetShapeInferenceFunction(builder, unknownShape);
    TF_RegisterOpDefinition(builder, status);
    if (TF_GetCode(status) != TF_OK) return false;
    TF_RegisterKernelBuilder(operation.name, TF_NewKernelBuilder(operation.name, "CPU", nullptr, operation.compute, nullptr), status);
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
