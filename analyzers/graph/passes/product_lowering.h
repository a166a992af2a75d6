// Lowering of convolutions and linears: weights, folded batch norm, biases. Private to this folder; lower.h is the pass.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "analyzers/graph/graph.h"
#include "analyzers/graph/passes/convert_arithmetic.h"

namespace qatgap::graph {

// The codes that a quantized tensor of PyTorch has room for: 0..255 (quint8) or -128..127 (qint8). Ranges that fit neither,
// and per-channel ones, stay.
numerics::QuantParams InEightBits(numerics::QuantParams params);

class ProductLowering {
 public:
  // `graph` must outlive this, and is changed by it.
  explicit ProductLowering(Graph& graph);

  // Lowers the product `id`, whose inputs are renamed already; new constants go to the end of `block`. What was behind the
  // product and is part of it now is Absorbed() and renamed to the product's output.
  absl::Status Lower(NodeId id, Block& block, std::map<ValueId, ValueId>& renamed);
  bool Absorbed(NodeId id) const { return absorbed_.contains(id); }
  void AddNotices();

 private:
  struct Chain {  // product, [division], [addition], batch norm
    std::vector<NodeId> nodes;
    std::vector<float> bias;  // in front of the batch norm
    std::optional<numerics::QuantParams> integers;  // it is quantized to
  };
  Node& node(NodeId id) { return graph_.nodes[static_cast<std::size_t>(id)]; }
  NodeId OnlyReader(ValueId value) const;
  const ConstantAttributes* FloatConstant(ValueId value) const;
  bool FollowToBatchNorm(const Node& product, Chain& chain) const;
  absl::Status LowerWeight(NodeId id, const ConstantAttributes& codes, Block& block,
                           std::map<ValueId, ValueId>& renamed);
  // `integers`: it was quantized, at scales derived from input and weight.
  absl::Status SetBias(NodeId id, const ConstantAttributes& weight, Tensor real,
                       std::optional<numerics::QuantParams> integers, Block& block);
  absl::Status QuantizeTransposed(NodeId id, Block& block);
  ValueId Constant(ConstantAttributes constant, const Node& of, Block& block);
  ValueId CodeConstant(Tensor codes, numerics::QuantParams params, const Node& of, Block& block);

  Graph& graph_;
  std::vector<int> use_count_;
  std::vector<NodeId> reader_;
  std::set<NodeId> absorbed_;
  int kept_ = 0, assumed_ = 0;
  std::string first_kept_, first_assumed_;
};

}  // namespace qatgap::graph
