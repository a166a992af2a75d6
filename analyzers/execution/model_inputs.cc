#include "analyzers/execution/model_inputs.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "analyzers/status/string_view.h"

namespace qatgap::execution {

absl::Status CheckInputs(const graph::Graph& graph, std::span<const graph::Tensor> inputs) {
  if (inputs.size() != graph.inputs.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the model has ", graph.inputs.size(), " inputs, ", inputs.size(), " were given"));
  }
  for (std::size_t i = 0; i < inputs.size() && i < graph.assumed_ranks.size(); ++i) {
    if (graph.assumed_ranks[i] == 0 || graph.assumed_ranks[i] == inputs[i].shape().size()) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "input '", graph.input_name(i), "' of shape ", graph::ToString(inputs[i].shape()),
        " was given; the model was read as one that takes ", graph.assumed_ranks[i], " axes there, since the file does not say"));
  }
  return absl::OkStatus();
}

absl::Status NotTaken(std::span<const graph::Tensor> inputs, const absl::Status& error) {
  const std::string shapes = absl::StrJoin(inputs, ", ", [](std::string* out, const graph::Tensor& input) {
    absl::StrAppend(out, graph::ToString(input.shape()));
  });
  const char* what = inputs.size() == 1 ? "an input of shape " : "inputs of shapes ";
  return absl::InvalidArgumentError(absl::StrCat("the QAT model does not take ", what, shapes, " (",
                                                 std::string(error.message()),
                                                 "); give samples as the model's forward() takes them"));
}

}  // namespace qatgap::execution
