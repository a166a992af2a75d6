// torch.cond, and graphs that are called where they stand.
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/pt2/importer.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::frontends::pt2 {

absl::StatusOr<std::vector<Slot>> Importer::Operands(const Call& call, std::size_t first) {
  std::vector<Slot> operands;
  const auto add = [&](const std::string& name) -> absl::Status {
    QATGAP_ASSIGN_OR_RETURN(const Slot* slot, Find(name));
    operands.push_back(*slot);
    return absl::OkStatus();
  };
  for (std::size_t i = first; i < call.node.inputs.size(); ++i) {
    const ProgramValue& value = call.node.inputs[i].value;
    if (const auto* tensor = std::get_if<TensorName>(&value)) {
      QATGAP_RETURN_IF_ERROR(add(tensor->name));
    } else if (const auto* tensors = std::get_if<TensorNames>(&value)) {
      for (const auto& name : tensors->names) {
        if (!name) return Refuse("an operand of a branch is None", "give tensors to the branch");
        QATGAP_RETURN_IF_ERROR(add(*name));
      }
    } else if (const auto* none = std::get_if<std::vector<std::int64_t>>(&value); none == nullptr || !none->empty()) {
      return Refuse("an operand of a branch is no tensor", "give tensors to the branch");
    }
  }
  return operands;
}

// In a frame of its own: names inside of a branch may repeat names outside.
absl::StatusOr<std::vector<Slot>> Importer::ImportSubgraph(const ProgramGraph& graph,
                                                           const std::vector<Slot>& operands) {
  if (graph.inputs.size() != operands.size()) {
    return absl::InvalidArgumentError(absl::StrCat("a branch of the exported program takes ", graph.inputs.size(),
                                                   " operands, ", operands.size(), " are given; save it again"));
  }
  if (++depth_ > kMaxBranchDepth) {
    return absl::ResourceExhaustedError(
        "the exported program nests branches more than 50 deep; export a flatter model");
  }
  Frame frame;
  Frame* const outer = std::exchange(frame_, &frame);
  const int outer_first = std::exchange(first_memory_of_branch_, memories_);
  auto outer_names = std::exchange(names_of_memory_, {});
  const std::string path = path_, stack = stack_, line = source_line_;
  const ProgramGraph* const outer_graph = std::exchange(program_graph_, &graph);
  for (std::size_t i = 0; i < operands.size(); ++i) {
    const auto* name = std::get_if<TensorName>(&graph.inputs[i]);
    if (name == nullptr) return Refuse("an operand of a branch is no tensor", "give tensors to the branch");
    QATGAP_RETURN_IF_ERROR(BindSlot(name->name, operands[i]));
  }
  QATGAP_RETURN_IF_ERROR(ImportGraph(graph));
  path_ = path;
  stack_ = stack;
  source_line_ = line;
  std::vector<Slot> outputs;
  for (const ProgramValue& output : graph.outputs) {
    const auto* name = std::get_if<TensorName>(&output);
    if (name == nullptr) return Refuse("a branch gives something else than a tensor", "return tensors from the branch");
    QATGAP_ASSIGN_OR_RETURN(const Slot* slot, Find(name->name));
    outputs.push_back(*slot);
  }
  frame_ = outer;
  first_memory_of_branch_ = outer_first;
  names_of_memory_ = std::move(outer_names);
  program_graph_ = outer_graph;
  --depth_;
  return outputs;
}

// torch.cond(predicate, true graph, false graph, operands)
absl::Status Importer::ImportCond(const Call& call) {
  const auto& inputs = call.node.inputs;
  const auto* yes = inputs.size() < 3 ? nullptr : std::get_if<Subgraph>(&inputs[1].value);
  const auto* no = inputs.size() < 3 ? nullptr : std::get_if<Subgraph>(&inputs[2].value);
  if (yes == nullptr || no == nullptr) return Unknown(call);
  QATGAP_ASSIGN_OR_RETURN(const std::vector<Slot> operands, Operands(call, 3));
  if (const auto* fixed = std::get_if<bool>(&inputs[0].value)) {
    QATGAP_ASSIGN_OR_RETURN(std::vector<Slot> taken, ImportSubgraph(*fixed ? *yes->graph : *no->graph, operands));
    const std::vector<std::string> names = OutputsOf(call);
    if (names.size() != taken.size()) return Unknown(call);
    for (std::size_t i = 0; i < names.size(); ++i) QATGAP_RETURN_IF_ERROR(BindSlot(names[i], std::move(taken[i])));
    return absl::OkStatus();
  }
  const auto* predicate = std::get_if<TensorName>(&inputs[0].value);
  if (predicate == nullptr) {
    return Refuse("a branch that depends on the shape of the input", "export with fixed sizes");
  }
  QATGAP_ASSIGN_OR_RETURN(const Slot* condition, Find(predicate->name));
  QATGAP_ASSIGN_OR_RETURN(const graph::ValueId condition_value, Value(*condition));

  graph::IfAttributes branches;
  graph::Block* const outer = block_;
  std::vector<Slot> results[2];
  for (const bool taken : {true, false}) {
    block_ = taken ? &branches.then_block : &branches.else_block;
    QATGAP_ASSIGN_OR_RETURN(results[taken ? 0 : 1], ImportSubgraph(taken ? *yes->graph : *no->graph, operands));
  }
  const std::vector<std::string> names = OutputsOf(call);
  if (results[0].size() != names.size() || results[1].size() != names.size()) return Unknown(call);
  std::vector<bool> as_codes;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const bool both = results[0][i].codes != nullptr && results[1][i].codes != nullptr;
    if (!both && (results[0][i].codes != nullptr || results[1][i].codes != nullptr)) {
      return Refuse("a branch that gives integer codes on one side only", "quantize behind the branch");
    }
    as_codes.push_back(both);
  }
  block_ = &branches.then_block;
  QATGAP_ASSIGN_OR_RETURN(block_->outputs, BranchOutputs(call, results[0], as_codes));
  block_ = &branches.else_block;
  QATGAP_ASSIGN_OR_RETURN(block_->outputs, BranchOutputs(call, results[1], as_codes));
  block_ = outer;
  const std::vector<graph::ValueId> values =
      EmitMany(call, graph::OpKind::kIf, {condition_value}, std::move(branches), static_cast<int>(names.size()));
  for (std::size_t i = 0; i < names.size(); ++i) {
    Slot slot{.value = values[i], .dtype = results[0][i].dtype, .memory = NewMemory(), .identity = memories_};
    if (as_codes[i]) slot.codes = results[0][i].codes;
    QATGAP_RETURN_IF_ERROR(BindSlot(names[i], std::move(slot)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<graph::ValueId>> Importer::BranchOutputs(const Call& call, const std::vector<Slot>& slots,
                                                                    const std::vector<bool>& as_codes) {
  static_cast<void>(call);
  std::vector<graph::ValueId> values;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    static_cast<void>(as_codes);
    QATGAP_ASSIGN_OR_RETURN(const graph::ValueId value, Value(slots[i]));
    values.push_back(value);
  }
  return values;
}

// A graph that is called where it stands (torch.no_grad inside of forward).
absl::Status Importer::ImportInline(const Call& call, std::size_t graph_argument) {
  const auto* sub = call.node.inputs.size() <= graph_argument
                        ? nullptr
                        : std::get_if<Subgraph>(&call.node.inputs[graph_argument].value);
  if (sub == nullptr) return Unknown(call);
  QATGAP_ASSIGN_OR_RETURN(const std::vector<Slot> operands, Operands(call, graph_argument + 1));
  QATGAP_ASSIGN_OR_RETURN(std::vector<Slot> outputs, ImportSubgraph(*sub->graph, operands));
  const std::vector<std::string> names = OutputsOf(call);
  if (names.size() != outputs.size()) return Unknown(call);
  for (std::size_t i = 0; i < names.size(); ++i) QATGAP_RETURN_IF_ERROR(BindSlot(names[i], std::move(outputs[i])));
  return absl::OkStatus();
}

}  // namespace qatgap::frontends::pt2
