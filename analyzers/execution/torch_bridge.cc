#include "analyzers/execution/torch_bridge.h"

#include <ATen/Context.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/_make_per_tensor_quantized_tensor.h>
#include <ATen/ops/from_blob.h>

#include <new>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "analyzers/status/string_view.h"

namespace qatgap::execution {

at::ScalarType TorchType(graph::DType dtype) {
  switch (dtype) {
    case graph::DType::kFloat32:
      return at::kFloat;
    case graph::DType::kFloat64:
      return at::kDouble;
    case graph::DType::kInt8:
      return at::kChar;
    case graph::DType::kUint8:
      return at::kByte;
    case graph::DType::kInt32:
      return at::kInt;
    case graph::DType::kInt64:
      return at::kLong;
    case graph::DType::kBool:
      return at::kBool;
  }
  return at::kFloat;
}

at::QEngine TorchEngine(numerics::Engine engine) {
  switch (engine) {
    case numerics::Engine::kQnnpack:
      return at::QEngine::QNNPACK;
    case numerics::Engine::kX86:
      return at::QEngine::X86;
    case numerics::Engine::kOnednn:
      return at::QEngine::ONEDNN;
    case numerics::Engine::kFbgemm:
    case numerics::Engine::kNone:
      break;
  }
  return at::QEngine::FBGEMM;
}

at::Tensor ToTorch(const graph::Tensor& tensor) {
  return at::from_blob(
      tensor.storage().get(), tensor.shape(), [keep = tensor.storage()](void*) {},
      at::TensorOptions(TorchType(tensor.dtype())));
}

absl::StatusOr<graph::Tensor> FromTorch(const at::Tensor& tensor) {
  graph::DType dtype = graph::DType::kFloat32;
  switch (tensor.scalar_type()) {
    case at::kFloat:
      break;
    case at::kDouble:
      dtype = graph::DType::kFloat64;
      break;
    case at::kChar:
      dtype = graph::DType::kInt8;
      break;
    case at::kByte:
      dtype = graph::DType::kUint8;
      break;
    case at::kInt:
      dtype = graph::DType::kInt32;
      break;
    case at::kLong:
      dtype = graph::DType::kInt64;
      break;
    case at::kBool:
      dtype = graph::DType::kBool;
      break;
    default:
      return absl::InternalError(
          absl::StrCat("a tensor of type ", at::toString(tensor.scalar_type()), " cannot leave LibTorch"));
  }
  auto keep = std::make_shared<at::Tensor>(tensor.contiguous());
  void* data = keep->data_ptr();
  graph::Shape shape = keep->sizes().vec();
  return graph::Tensor(dtype, std::move(shape), std::shared_ptr<void>(std::move(keep), data));
}

c10::IValue CallOperator(const char* name, const char* overload, torch::jit::Stack stack) {
  const auto handle = c10::Dispatcher::singleton().findSchemaOrThrow(name, overload);
  handle.callBoxed(stack);
  return stack.empty() ? c10::IValue() : std::move(stack.front());
}

absl::Status TorchError(const std::exception& error, std::string_view doing) {
  std::string what = error.what();
  what = what.substr(0, what.find('\n'));
  // LibTorch's allocator throws its own exception, known by its text alone.
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr || absl::StrContains(what, "allocate memory")) {
    return absl::ResourceExhaustedError(absl::StrCat(
        Text(doing), " ran out of memory; use a smaller batch, or raise the server's memory limit (--memory-limit)"));
  }
  return absl::InternalError(absl::StrCat(Text(doing), " failed in LibTorch: ", what));
}

EngineScope::EngineScope(numerics::Engine engine) : previous_(at::globalContext().qEngine()) {
  at::globalContext().setQEngine(TorchEngine(engine));
}

EngineScope::~EngineScope() { at::globalContext().setQEngine(previous_); }

at::Tensor QuantizedInput(const at::Tensor& codes, const numerics::QuantParams& params) {
  const at::Tensor quantized = at::_make_per_tensor_quantized_tensor(
      codes.to(params.quant_min < 0 ? at::kChar : at::kByte), params.scale(), params.zero_point());
  return quantized.contiguous(codes.suggest_memory_format());
}

}  // namespace qatgap::execution
