#include "analyzers/graph/passes/fake_quant_twin.h"

#include <cstddef>
#include <map>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::graph {
namespace {

// scale * (code - zero point), rounded to binary32 once.
Tensor Dequantized(const ConstantAttributes& constant) {
  const auto codes = constant.value.data<std::int32_t>();
  Tensor real(DType::kFloat32, constant.value.shape());
  const auto values = real.mutable_data<float>();
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const std::size_t channel = constant.qparams->per_channel() ? i : 0;
    values[i] = static_cast<float>(constant.qparams->scale(channel) *
                                   static_cast<double>(codes[i] - constant.qparams->zero_point(channel)));
  }
  return real;
}

class Rebuilding {
 public:
  explicit Rebuilding(const Graph& converted) : graph_(converted) {}

  absl::StatusOr<Graph> Run() {
    Block body = std::move(graph_.body);
    Rewrite(body);
    graph_.body = std::move(body);
    graph_.notices.push_back(
        {NoticeKind::kTwinRebuilt, "",
         absl::StrCat("fake-quant twin rebuilt from the converted model: weight conversion cannot be seen",
                      integer_biases_ == 0 ? ""
                                           : absl::StrCat("; ", integer_biases_, " integer bias(es) became the reals they "
                                                          "stand for: how they were rounded cannot be seen either"))});
    QATGAP_RETURN_IF_ERROR(Verify(graph_));
    return std::move(graph_);
  }

 private:
  Node& node(NodeId id) { return graph_.nodes[static_cast<std::size_t>(id)]; }

  void Rewrite(Block& block) {
    Block rewritten;
    rewritten.outputs = block.outputs;
    for (const NodeId id : block.nodes) {
      if (std::holds_alternative<IfAttributes>(node(id).attributes)) {
        IfAttributes branches = std::get<IfAttributes>(node(id).attributes);
        Rewrite(branches.then_block);
        Rewrite(branches.else_block);
        node(id).attributes = std::move(branches);
      } else if ((node(id).kind == OpKind::kConvolution || node(id).kind == OpKind::kLinear) &&
                 node(id).inputs.size() == 3) {
        RestoreBias(id, rewritten);
      }
      rewritten.nodes.push_back(id);
    }
    block = std::move(rewritten);
  }

  void RestoreBias(NodeId id, Block& block) {
    const ConstantAttributes* codes = CodeConstantBehind(graph_, node(id).inputs[2]);
    if (codes == nullptr) return;
    ++integer_biases_;
    const Node& product = node(id);
    const NodeId real = graph_.AddNode(
        block, {.kind = OpKind::kConstant,
                .inputs = {},
                .outputs = {},
                .attributes = ConstantAttributes{.value = Dequantized(*codes), .qparams = {}},
                .module_path = product.module_path,
                .source_op = product.source_op});
    node(id).inputs[2] = node(real).outputs[0];
  }

  Graph graph_;
  int integer_biases_ = 0;
};

}  // namespace

const ConstantAttributes* CodeConstantBehind(const Graph& graph, ValueId value) {
  const Node* dequantize = graph.producer(value);
  if (dequantize == nullptr || dequantize->kind != OpKind::kDequantize) return nullptr;
  const Node* codes = graph.producer(dequantize->inputs[0]);
  return codes == nullptr ? nullptr : std::get_if<ConstantAttributes>(&codes->attributes);
}

namespace {

// In front of the node that reads it; in the block, or one inside, that holds the node.
bool InsertBefore(Block& block, NodeId id, NodeId constant, Graph& graph) {
  for (std::size_t i = 0; i < block.nodes.size(); ++i) {
    if (block.nodes[i] == id) {
      block.nodes.insert(block.nodes.begin() + static_cast<std::ptrdiff_t>(i), constant);
      return true;
    }
    auto* branches = std::get_if<IfAttributes>(&graph.nodes[static_cast<std::size_t>(block.nodes[i])].attributes);
    if (branches != nullptr && (InsertBefore(branches->then_block, id, constant, graph) ||
                                InsertBefore(branches->else_block, id, constant, graph))) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool ReplaceBias(Graph& graph, ValueId product, const std::vector<float>& bias) {
  const NodeId id = graph.values[static_cast<std::size_t>(product)].producer;
  if (id < 0) return false;
  const Node reader = graph.nodes[static_cast<std::size_t>(id)];
  if (reader.kind != OpKind::kConvolution && reader.kind != OpKind::kLinear) return false;
  Block elsewhere;
  const NodeId constant = graph.AddNode(
      elsewhere, {.kind = OpKind::kConstant,
                  .inputs = {},
                  .outputs = {},
                  .attributes = ConstantAttributes{.value = Tensor::Of<float>({static_cast<std::int64_t>(bias.size())}, bias),
                                                   .qparams = {}},
                  .module_path = reader.module_path,
                  .source_op = reader.source_op});
  if (!InsertBefore(graph.body, id, constant, graph)) return false;
  std::vector<ValueId>& inputs = graph.nodes[static_cast<std::size_t>(id)].inputs;
  inputs.resize(2);
  inputs.push_back(graph.nodes[static_cast<std::size_t>(constant)].outputs[0]);
  return true;
}

absl::StatusOr<Graph> FakeQuantTwin(const Graph& converted) {
  QATGAP_RETURN_IF_ERROR(Verify(converted));
  return Rebuilding(converted).Run();
}

}  // namespace qatgap::graph
