#include "tests/conformance/interpreter.h"

#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/serialization/import.h>

#include <sstream>

#include "analyzers/execution/torch_bridge.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::conformance {
namespace {

absl::Status Flatten(const c10::IValue& value, std::vector<graph::Tensor>& outputs) {
  if (value.isTensor()) {
    QATGAP_ASSIGN_OR_RETURN(outputs.emplace_back(), execution::FromTorch(value.toTensor()));
  } else if (value.isTuple()) {
    for (const auto& element : value.toTupleRef().elements()) QATGAP_RETURN_IF_ERROR(Flatten(element, outputs));
  } else if (value.isList()) {
    for (const c10::IValue& element : value.toListRef()) QATGAP_RETURN_IF_ERROR(Flatten(element, outputs));
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) QATGAP_RETURN_IF_ERROR(Flatten(entry.value(), outputs));
  } else if (!value.isNone()) {
    return absl::UnimplementedError("an output that is no tensor: " + value.tagKind());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<graph::Tensor>> Interpret(const std::string& bytes, const graph::Tensor& input,
                                                     numerics::Engine engine) {
  try {
    const at::NoGradGuard no_grad;
    // Weights are packed by the engine that is set when the file is loaded.
    const execution::EngineScope scope(engine == numerics::Engine::kNone ? numerics::Engine::kFbgemm : engine);
    std::istringstream stream(bytes);
    torch::jit::Module module = torch::jit::load(stream, c10::Device(c10::kCPU));
    module.eval();
    std::vector<graph::Tensor> outputs;
    QATGAP_RETURN_IF_ERROR(Flatten(module.forward({execution::ToTorch(input)}), outputs));
    return outputs;
  } catch (const std::exception& error) {
    return execution::TorchError(error, "running LibTorch's interpreter");
  }
}

}  // namespace qatgap::conformance
