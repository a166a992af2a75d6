#include "analyzers/frontends/torchscript/torchscript_frontend.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <array>
#include <exception>
#include <map>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "analyzers/execution/host.h"
#include "analyzers/execution/torch_bridge.h"
#include "analyzers/frontends/torchscript/called_methods.h"
#include "analyzers/frontends/torchscript/evaluator.h"
#include "analyzers/graph/passes/fake_quant_twin.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::torchscript {
namespace {

struct Loaded {
  torch::jit::Module module;
  numerics::Engine engine = numerics::Engine::kNone;  // that packed its weights
};

torch::jit::Module LoadModule(std::string_view bytes) {
  std::istringstream stream{std::string(bytes)};
  return torch::jit::load(stream, c10::Device(c10::kCPU));
}

// Without the methods that nothing calls, which take most of the time; whole where that is not to LibTorch's liking.
torch::jit::Module LoadForward(std::string_view bytes) {
  try {
    return LoadModule(WithCalledMethodsAlone(bytes));
  } catch (const std::exception&) {
    return LoadModule(bytes);
  }
}

// Packed weights are built by the engine that is set, and not every engine takes every layer.
absl::StatusOr<Loaded> LoadFor(std::string_view bytes, std::string_view name, std::span<const numerics::Engine> engines) {
  std::string reason = "no quantized engine";
  for (const numerics::Engine engine : engines) {
    if (!execution::HasEngine(engine)) continue;
    try {
      const execution::EngineScope scope(engine);
      return Loaded{LoadForward(bytes), engine};
    } catch (const std::exception& error) {
      reason = FirstLine(error);
    }
  }
  return absl::InvalidArgumentError(absl::StrCat("'", Text(name), "' cannot be loaded as TorchScript: ", reason,
                                                 "; save the model with torch.jit.save"));
}

constexpr std::array kEngines = {numerics::Engine::kFbgemm, numerics::Engine::kQnnpack};

absl::StatusOr<Loaded> Load(std::string_view bytes, std::string_view name) {
  // LibTorch reads zip archives; anything else would only give an obscure message.
  if (bytes.substr(0, 4) != std::string_view("PK\x03\x04", 4)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", Text(name), "' is not a TorchScript file (", bytes.size(),
                     " bytes, no zip signature); save the model with torch.jit.save"));
  }
  return LoadFor(bytes, name, kEngines);
}

// A transposed convolution along two axes whose integer weights came out of an engine's packing.
bool HasPackedTransposed(const graph::Graph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const graph::Node& node) {
    const auto* conv = std::get_if<graph::ConvolutionAttributes>(&node.attributes);
    if (conv == nullptr || !conv->transposed || conv->stride.size() != 2) return false;
    const graph::ConstantAttributes* codes = graph::CodeConstantBehind(graph, node.inputs[1]);
    return codes != nullptr && codes->origin == nullptr;
  });
}

// TorchScript does not say how many axes an input has. Where that is what is missing: as many as the model asks for by
// number, else three, four or two. The graph says so, and the executor refuses others.
std::unique_ptr<Evaluator> Evaluate(const torch::jit::Module& module) {
  auto evaluator = std::make_unique<Evaluator>(module);
  std::exception_ptr first;
  try {
    evaluator->Run();
    return evaluator;
  } catch (const ImportError&) {
    if (!evaluator->saw_unknown_size()) throw;
    first = std::current_exception();
  }
  std::vector<std::map<std::string, std::size_t>> guesses{evaluator->shapes().asked()};
  for (const std::size_t rank : {3U, 4U, 2U}) guesses.push_back(evaluator->AllInputs(rank));
  for (const auto& ranks : guesses) {
    if (ranks.empty()) continue;
    try {
      auto again = std::make_unique<Evaluator>(module, ranks);
      again->Run();
      return again;
    } catch (const std::exception&) {
      continue;
    }
  }
  std::rethrow_exception(first);
}

absl::StatusOr<Model> Read(const torch::jit::Module& module, std::string_view name) {
  const auto in_model = [&](std::string_view message) {
    return absl::StrCat("'", Text(name), "': ", Text(message));
  };
  Model model;
  try {
    const at::NoGradGuard no_grad;
    const std::unique_ptr<Evaluator> evaluator = Evaluate(module);
    model.graph = std::move(evaluator->graph());
    // prepare_qat_fx numbers the activations' fake-quants at the root; prepare_qat puts each into its module.
    if (module.hasattr("activation_post_process_0")) model.graph.convert_style = graph::ConvertStyle::kFx;
    model.kind = evaluator->saw_quantized_operator() ? ModelKind::kConverted
                 : evaluator->saw_fake_quant()       ? ModelKind::kQat
                                                    : ModelKind::kFloat;
    model.scripted = evaluator->saw_script();
    model.format = model.scripted ? "TorchScript, scripted" : "TorchScript, traced";
  } catch (const ImportError& error) {
    return absl::Status(error.status().code(), in_model(std::string(error.status().message())));
  } catch (const std::exception& error) {
    return absl::FailedPreconditionError(in_model(absl::StrCat("cannot be evaluated: ", FirstLine(error))));
  }
  return model;
}

}  // namespace

absl::StatusOr<Model> Import(std::string_view bytes, std::string_view name) {
  QATGAP_ASSIGN_OR_RETURN(const Loaded loaded, Load(bytes, name));
  QATGAP_ASSIGN_OR_RETURN(Model model, Read(loaded.module, name));
  if (loaded.engine == numerics::Engine::kFbgemm && HasPackedTransposed(model.graph)) {
    // FBGEMM's packing changes 508 of 512 weights of a layer [16, 8, 2, 2], other ones each time (PyTorch 2.13); QNNPACK
    // keeps them as they are, but has no convolutions along three axes.
    constexpr std::array kQnnpack = {numerics::Engine::kQnnpack};
    absl::StatusOr<Loaded> again = LoadFor(bytes, name, kQnnpack);
    absl::StatusOr<Model> kept = again.ok() ? Read(again->module, name) : absl::StatusOr<Model>(again.status());
    if (!kept.ok()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "'", Text(name), "': the weights of its quantized transposed convolution cannot be read, since FBGEMM loses them and "
          "QNNPACK refuses another layer (", std::string(kept.status().message()), "); give the QAT model alone"));
    }
    model = *std::move(kept);
  }
  QATGAP_RETURN_IF_ERROR(graph::Verify(model.graph));
  return model;
}

}  // namespace qatgap::frontends::torchscript
