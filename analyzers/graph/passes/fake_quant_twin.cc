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

absl::StatusOr<Graph> FakeQuantTwin(const Graph& converted) {
  QATGAP_RETURN_IF_ERROR(Verify(converted));
  return Rebuilding(converted).Run();
}

}  // namespace qatgap::graph
