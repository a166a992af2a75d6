// Between our tensors and LibTorch's. Internal to execution/: it includes LibTorch, so no header outside includes it.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/stack.h>
#include <c10/core/QEngine.h>

#include <string>

#include "absl/status/statusor.h"
#include "analyzers/graph/tensor.h"
#include "analyzers/numerics/quant_params.h"
#include "analyzers/numerics/target.h"

namespace qatgap::execution {

at::ScalarType TorchType(graph::DType dtype);
at::QEngine TorchEngine(numerics::Engine engine);

// A view: shares the storage of `tensor` and keeps it alive.
at::Tensor ToTorch(const graph::Tensor& tensor);

// Shares the storage when `tensor` is contiguous, copies otherwise. INTERNAL for a dtype that graph::Tensor lacks.
absl::StatusOr<graph::Tensor> FromTorch(const at::Tensor& tensor);

// Calls an operator of LibTorch's registry by name; returns its only result.
c10::IValue CallOperator(const char* name, const char* overload, torch::jit::Stack stack);

// An exception of LibTorch as a status: RESOURCE_EXHAUSTED when memory ran out, else INTERNAL with its first line.
absl::Status TorchError(const std::exception& error, std::string_view doing);

// Sets the process-wide quantized engine for its lifetime.
class EngineScope {
 public:
  explicit EngineScope(numerics::Engine engine);
  ~EngineScope();
  EngineScope(const EngineScope&) = delete;
  EngineScope& operator=(const EngineScope&) = delete;

 private:
  at::QEngine previous_;
};

// A quint8 tensor, qint8 where the range is signed, with these codes (int32) and per-tensor qparams, in
// their memory format.
at::Tensor QuantizedInput(const at::Tensor& codes, const numerics::QuantParams& params);

}  // namespace qatgap::execution
