// If stays a branch; a Loop of a known number of rounds is unrolled.
#include <onnx/onnx_pb.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/onnx/importer.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::frontends::onnx {
namespace {

constexpr std::int64_t kMaxRounds = 1024;

// What the outputs of the two branches have in common.
absl::StatusOr<Symbol> Merged(const NodeView& node, const Symbol& a, const Symbol& b) {
  if ((a.codes == nullptr) != (b.codes == nullptr) || a.type != b.type ||
      (a.codes != nullptr && !(*a.codes == *b.codes))) {
    return node.Refuse("its branches give values of different types or grids", "dequantize in both branches");
  }
  Symbol merged{.value = -1, .type = a.type, .codes = a.codes, .shape = std::nullopt};
  if (a.shape && b.shape && a.shape->size() == b.shape->size()) {
    merged.shape = a.shape;
    for (std::size_t i = 0; i < merged.shape->size(); ++i) {
      if ((*a.shape)[i] != (*b.shape)[i]) (*merged.shape)[i] = -1;
    }
  }
  return merged;
}

absl::StatusOr<std::vector<Symbol>> RunBranch(Importer& importer, const NodeView& node, std::string_view name,
                                              graph::Block& block) {
  const auto* body = node.Graph(name);
  if (body == nullptr) return node.Broken(absl::StrCat("has no ", std::string(name)));
  QATGAP_ASSIGN_OR_RETURN(const std::vector<Slot> outputs, importer.RunSubgraph(*body, block, {}));
  std::vector<Symbol> symbols;
  for (const Slot& output : outputs) {
    QATGAP_ASSIGN_OR_RETURN(Symbol symbol, importer.AsSymbol(output));
    block.outputs.push_back(symbol.value);
    symbols.push_back(std::move(symbol));
  }
  return symbols;
}

Results If(Importer& importer, const NodeView& node) {
  if (const auto* literal = std::get_if<Literal>(&node.in(0))) {
    const auto flag = Integers(*literal);
    if (!flag || flag->size() != 1) return node.Broken("its condition is not one bool");
    const auto* body = node.Graph((*flag)[0] != 0 ? "then_branch" : "else_branch");
    if (body == nullptr) return node.Broken("lacks a branch");
    return importer.RunSubgraph(*body, importer.block(), {});
  }
  QATGAP_ASSIGN_OR_RETURN(const Symbol condition, importer.Operand(node, 0));
  graph::IfAttributes branches;
  QATGAP_ASSIGN_OR_RETURN(const std::vector<Symbol> then_outputs,
                          RunBranch(importer, node, "then_branch", branches.then_block));
  QATGAP_ASSIGN_OR_RETURN(const std::vector<Symbol> else_outputs,
                          RunBranch(importer, node, "else_branch", branches.else_block));
  if (then_outputs.empty() || then_outputs.size() != else_outputs.size())
    return node.Broken("its branches give different numbers of outputs");
  std::vector<Slot> results;
  std::vector<Symbol> merged;
  for (std::size_t i = 0; i < then_outputs.size(); ++i) {
    QATGAP_ASSIGN_OR_RETURN(Symbol symbol, Merged(node, then_outputs[i], else_outputs[i]));
    merged.push_back(std::move(symbol));
  }
  const std::vector<graph::ValueId> values =
      importer.EmitIf(condition.value, std::move(branches), static_cast<int>(merged.size()));
  for (std::size_t i = 0; i < merged.size(); ++i) {
    merged[i].value = values[i];
    results.emplace_back(std::move(merged[i]));
  }
  return results;
}

bool IsTrue(const Slot& slot) {
  const auto* literal = std::get_if<Literal>(&slot);
  const auto flag = literal == nullptr ? std::nullopt : Integers(*literal);
  return flag && flag->size() == 1 && (*flag)[0] != 0;
}

// Loop(rounds, condition, carried...): the body takes (round, condition, carried...) and gives (condition, carried...).
Results Loop(Importer& importer, const NodeView& node) {
  const auto* body = node.Graph("body");
  if (body == nullptr) return node.Broken("has no body");
  constexpr std::string_view kRemedy = "export the model with the loop unrolled (torch.jit.trace, torch.export)";
  const auto rounds = importer.KnownIntegers(node, 0, "number of rounds");
  if (!node.has(0) || !rounds.ok() || rounds->size() != 1)
    return node.Refuse("runs a number of rounds that is not a constant", kRemedy);
  if ((*rounds)[0] < 0 || (*rounds)[0] > kMaxRounds) {
    return absl::ResourceExhaustedError(absl::StrCat("runs ", (*rounds)[0], " rounds, more than ", kMaxRounds,
                                                     "; export the model with a shorter loop"));
  }
  if (node.has(1) && !IsTrue(node.in(1))) return node.Refuse("stops on a condition", kRemedy);
  const std::size_t carried_count = node.size() < 2 ? 0 : node.size() - 2;
  if (body->input_size() != static_cast<int>(carried_count) + 2 ||
      body->output_size() != static_cast<int>(carried_count) + 1) {
    return node.Refuse("collects a value of every round, or its body does not fit it", kRemedy);
  }
  std::vector<Slot> carried;
  for (std::size_t i = 0; i < carried_count; ++i) carried.push_back(node.in(i + 2));
  const Literal yes{.type = element::kBool, .value = graph::Tensor::Of<std::int32_t>({}, std::vector<std::int32_t>{1})};
  for (std::int64_t round = 0; round < (*rounds)[0]; ++round) {
    std::map<std::string, Slot> bound;
    bound[body->input(0).name()] = Literal{
        .type = element::kInt64, .value = graph::Tensor::Of<std::int64_t>({}, std::vector<std::int64_t>{round})};
    bound[body->input(1).name()] = yes;
    for (std::size_t i = 0; i < carried_count; ++i) bound[body->input(static_cast<int>(i) + 2).name()] = carried[i];
    QATGAP_ASSIGN_OR_RETURN(std::vector<Slot> outputs, importer.RunSubgraph(*body, importer.block(), std::move(bound)));
    if (outputs.size() != carried_count + 1) return node.Broken("its body gives too few values");
    if (!IsTrue(outputs[0])) return node.Refuse("stops on a condition", kRemedy);
    carried.assign(std::make_move_iterator(outputs.begin() + 1), std::make_move_iterator(outputs.end()));
  }
  return carried;
}

}  // namespace

Importer::Handler FindControlFlowOperator(std::string_view op_type) {
  if (op_type == "If") return If;
  return op_type == "Loop" ? Loop : nullptr;
}

}  // namespace qatgap::frontends::onnx
