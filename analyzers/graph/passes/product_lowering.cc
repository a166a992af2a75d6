#include "analyzers/graph/passes/product_lowering.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/graph/mac_layers.h"
#include "analyzers/graph/passes/fake_quant_twin.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::graph {
namespace {

// Axis of the output channels: what batch norm goes along.
std::size_t ChannelAxis(const Node& product) {
  const auto* convolution = std::get_if<ConvolutionAttributes>(&product.attributes);
  return convolution != nullptr && convolution->transposed ? 1 : 0;
}

// What a quantized weight is stored in: eager and FX know qint8 alone for static quantization.
void WidenToStorage(numerics::QuantParams& params, bool is_signed) {
  params.quant_min = is_signed ? -128 : 0;
  params.quant_max = is_signed ? 127 : 255;
}

}  // namespace

numerics::QuantParams InEightBits(numerics::QuantParams params) {
  if (params.per_channel()) return params;
  if (params.quant_min >= 0 && params.quant_max <= 255) {
    WidenToStorage(params, false);
  } else if (params.quant_min >= -128 && params.quant_max <= 127) {
    WidenToStorage(params, true);
  }
  return params;
}

ProductLowering::ProductLowering(Graph& graph)
    : graph_(graph), use_count_(graph.values.size(), 0), reader_(graph.values.size(), -1) {
  const auto count_outputs = [&](const Block& block) {
    for (const ValueId output : block.outputs) use_count_[static_cast<std::size_t>(output)] += 2;
  };
  for (std::size_t id = 0; id < graph.nodes.size(); ++id) {
    for (const ValueId input : graph.nodes[id].inputs) {
      ++use_count_[static_cast<std::size_t>(input)];
      reader_[static_cast<std::size_t>(input)] = static_cast<NodeId>(id);
    }
    if (const auto* branches = std::get_if<IfAttributes>(&graph.nodes[id].attributes)) {
      count_outputs(branches->then_block);
      count_outputs(branches->else_block);
    }
  }
  count_outputs(graph.body);
}

NodeId ProductLowering::OnlyReader(ValueId value) const {
  const auto index = static_cast<std::size_t>(value);
  return index < use_count_.size() && use_count_[index] == 1 ? reader_[index] : -1;
}

const ConstantAttributes* ProductLowering::FloatConstant(ValueId value) const {
  const Node* producer = graph_.producer(value);
  if (producer == nullptr) return nullptr;
  const auto* constant = std::get_if<ConstantAttributes>(&producer->attributes);
  return constant != nullptr && !constant->qparams && constant->value.dtype() == DType::kFloat32 ? constant : nullptr;
}

// QAT modules: y = product(x, fq(w * factor), 0); y / factor; + bias, if any; batch norm. Division by the factor and the
// factor inside the batch norm undo each other, so that what remains is the folded bias.
bool ProductLowering::FollowToBatchNorm(const Node& product, Chain& chain) const {
  const auto take_bias = [&](ValueId value) {
    const ConstantAttributes* constant = FloatConstant(value);
    const ConstantAttributes* codes = constant == nullptr ? CodeConstantBehind(graph_, value) : nullptr;
    const bool has_origin = codes != nullptr && codes->origin && codes->origin->real.dtype() == DType::kFloat32;
    if (constant == nullptr && !has_origin) return false;
    if (has_origin) chain.integers = *codes->qparams;
    const auto values = (has_origin ? codes->origin->real : constant->value).data<float>();
    if (chain.bias.empty()) {
      chain.bias.assign(values.begin(), values.end());
      return true;
    }
    // A bias in the product and one behind it: QAT modules put zeros into the product.
    if (values.size() != chain.bias.size()) return false;
    for (std::size_t i = 0; i < values.size(); ++i) chain.bias[i] += values[i];
    return true;
  };
  if (product.inputs.size() > 2 && !take_bias(product.inputs[2])) return false;
  ValueId current = product.outputs[0];
  for (int i = 0; i < 4; ++i) {
    const NodeId id = OnlyReader(current);
    if (id < 0) return false;
    const Node& next = graph_.nodes[static_cast<std::size_t>(id)];
    chain.nodes.push_back(id);
    if (next.kind == OpKind::kBatchNorm) return true;
    if (next.kind == OpKind::kDiv) {
      if (next.inputs[0] != current || FloatConstant(next.inputs[1]) == nullptr) return false;
      // The product's own bias would be divided too.
      if (std::any_of(chain.bias.begin(), chain.bias.end(), [](float b) { return b != 0; })) return false;
    } else if (next.kind == OpKind::kAdd) {
      if (!take_bias(next.inputs[next.inputs[0] == current ? 1 : 0])) return false;
    } else {
      return false;
    }
    current = next.outputs[0];
  }
  return false;
}

ValueId ProductLowering::Constant(ConstantAttributes constant, const Node& of, Block& block) {
  const NodeId id = graph_.AddNode(block, {.kind = OpKind::kConstant,
                                           .inputs = {},
                                           .outputs = {},
                                           .attributes = std::move(constant),
                                           .module_path = of.module_path,
                                           .source_op = of.source_op});
  return node(id).outputs[0];
}

ValueId ProductLowering::CodeConstant(Tensor codes, numerics::QuantParams params, const Node& of, Block& block) {
  const ValueId value = Constant({.value = std::move(codes), .qparams = std::move(params)}, of, block);
  const NodeId id = graph_.AddNode(block, {.kind = OpKind::kDequantize,
                                           .inputs = {value},
                                           .outputs = {},
                                           .attributes = {},
                                           .module_path = of.module_path,
                                           .source_op = of.source_op});
  return node(id).outputs[0];
}

absl::Status ProductLowering::Lower(NodeId id, Block& block, std::map<ValueId, ValueId>& renamed) {
  const ConstantAttributes* behind = CodeConstantBehind(graph_, node(id).inputs[1]);
  if (behind == nullptr) return QuantizeTransposed(id, block);
  const ConstantAttributes codes = *behind;  // nodes move when others are added
  const std::string where = node(id).module_path;
  Chain probe;
  if (!codes.origin || codes.origin->real.dtype() != DType::kFloat32 ||
      codes.origin->real.shape() != codes.value.shape() ||
      (codes.origin->batch_norm && !FollowToBatchNorm(node(id), probe))) {
    if (kept_++ == 0) first_kept_ = where;
    return absl::OkStatus();
  }
  absl::Status status = LowerWeight(id, codes, block, renamed);
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat("module '", where, "': ", status.message()));
}

absl::Status ProductLowering::LowerWeight(NodeId id, const ConstantAttributes& codes, Block& block,
                                          std::map<ValueId, ValueId>& renamed) {
  const WeightOrigin& origin = *codes.origin;
  const bool pt2e = graph_.convert_style == ConvertStyle::kPt2e;
  Node product = node(id);
  Tensor real = origin.real;
  std::vector<float> folded;
  std::optional<numerics::QuantParams> integer_bias;
  if (origin.batch_norm) {
    QATGAP_ASSIGN_OR_RETURN(real, FoldBatchNorm(origin.real, *origin.batch_norm, ChannelAxis(product)));
    Chain chain;
    FollowToBatchNorm(product, chain);
    if (chain.bias.size() == 1) chain.bias.assign(origin.batch_norm->gamma.size(), chain.bias[0]);
    if (!chain.bias.empty() && chain.bias.size() != origin.batch_norm->gamma.size()) {
      return absl::InvalidArgumentError(absl::StrCat("a bias of ", chain.bias.size(), " elements in front of a batch norm of ",
                                                     origin.batch_norm->gamma.size()));
    }
    integer_bias = std::move(chain.integers);
    folded = FoldBatchNormBias(chain.bias, *origin.batch_norm, product.kind == OpKind::kLinear);
    for (const NodeId absorbed : chain.nodes) {
      absorbed_.insert(absorbed);
      renamed[node(absorbed).outputs[0]] = product.outputs[0];
      node(absorbed).inputs.clear();  // it is in no block any more, and must not count as a reader
    }
  }
  numerics::QuantParams params = *codes.qparams;
  bool is_signed = params.quant_min < 0;
  if (origin.observed) {
    ObservedRange range = pt2e ? *origin.observed : ObserveOnceMore(*origin.observed, real, params.axis);
    if (range.min.size() != params.scales.size()) {
      return absl::InvalidArgumentError(absl::StrCat("its observer holds ", range.min.size(), " ranges for ",
                                                     params.scales.size(), " scales"));
    }
    is_signed = range.is_signed;
    QATGAP_ASSIGN_OR_RETURN(params, ObservedQparams(range, params.axis));
  }
  if (graph_.convert_style == ConvertStyle::kFx) WidenToStorage(params, is_signed);
  QATGAP_ASSIGN_OR_RETURN(Tensor quantized, QuantizeAsConvert(real, params, graph_.convert_style));
  if (!pt2e) WidenToStorage(params, is_signed);
  const ConstantAttributes lowered{.value = quantized, .qparams = params};
  const ValueId weight = CodeConstant(std::move(quantized), std::move(params), product, block);
  node(id).inputs[1] = weight;
  if (!folded.empty()) {
    const auto size = static_cast<std::int64_t>(folded.size());
    return SetBias(id, lowered, Tensor::Of<float>({size}, folded), integer_bias, block);
  }
  const ConstantAttributes* integers =
      product.inputs.size() > 2 ? CodeConstantBehind(graph_, product.inputs[2]) : nullptr;
  if (integers == nullptr || !integers->origin || integers->origin->real.dtype() != DType::kFloat32) return absl::OkStatus();
  const ConstantAttributes bias = *integers;
  return SetBias(id, lowered, bias.origin->real, bias.qparams, block);
}

absl::Status ProductLowering::SetBias(NodeId id, const ConstantAttributes& weight, Tensor real,
                                      std::optional<numerics::QuantParams> integers, Block& block) {
  const Node product = node(id);
  ValueId bias = -1;
  // Derived from the observers of input and weight: their scales multiplied in binary32.
  const std::vector<numerics::QuantParams> grids = ReachingGrids(graph_, product.inputs[0]);
  if (integers && grids.size() == 1 && integers->scales.size() == weight.qparams->scales.size()) {
    for (std::size_t c = 0; c < integers->scales.size(); ++c) {
      integers->scales[c] = static_cast<double>(static_cast<float>(grids[0].scale()) *
                                                static_cast<float>(weight.qparams->scales[c]));
    }
    QATGAP_ASSIGN_OR_RETURN(Tensor codes, QuantizeAsConvert(real, *integers, graph_.convert_style));
    bias = CodeConstant(std::move(codes), *std::move(integers), product, block);
  } else {
    bias = Constant({.value = std::move(real), .qparams = {}}, product, block);
  }
  node(id).inputs.resize(2);
  node(id).inputs.push_back(bias);
  return absl::OkStatus();
}

// PyTorch has no QAT module of it: the weight trains unquantized, and convert() runs a new observer of the qconfig over it.
// Per-channel ones are refused there. The range must be known: that of PyTorch's default qconfigs for qnnpack.
absl::Status ProductLowering::QuantizeTransposed(NodeId id, Block& block) {
  const Node product = node(id);
  const auto* convolution = std::get_if<ConvolutionAttributes>(&product.attributes);
  const ConstantAttributes* constant = FloatConstant(product.inputs[1]);
  if (graph_.convert_style == ConvertStyle::kPt2e || convolution == nullptr || !convolution->transposed ||
      constant == nullptr || constant->value.elements() == 0) {
    return absl::OkStatus();
  }
  const NodeId reader = OnlyReader(product.outputs[0]);
  if (reader < 0 || node(reader).kind != OpKind::kQuantize || ReachingGrids(graph_, product.inputs[0]).empty()) {
    return absl::OkStatus();
  }
  const Tensor real = constant->value;
  const auto values = real.data<float>();
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const ObservedRange range{.min = {*low}, .max = {*high}, .epsilon = std::numeric_limits<float>::epsilon(),
                            .symmetric = true, .quant_min = -128, .quant_max = 127, .is_signed = true};
  const auto fail = [&](const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat("module '", product.module_path, "': ", status.message()));
  };
  auto params = ObservedQparams(range, numerics::QuantParams::kPerTensor);
  if (!params.ok()) return fail(params.status());
  auto codes = QuantizeAsConvert(real, *params, graph_.convert_style);
  if (!codes.ok()) return fail(codes.status());
  const ValueId weight = CodeConstant(*std::move(codes), *std::move(params), product, block);
  node(id).inputs[1] = weight;
  if (assumed_++ == 0) first_assumed_ = product.module_path;
  return absl::OkStatus();
}

void ProductLowering::AddNotices() {
  if (kept_ > 0) {
    graph_.notices.push_back(
        {NoticeKind::kWeightsKept, "",
         absl::StrCat("the file does not tell what the weights of ", kept_, " layer(s) were quantized from (the first is '",
                      first_kept_, "'): the lowered model keeps the QAT model's codes, where convert() would round anew")});
  }
  if (assumed_ > 0) {
    graph_.notices.push_back(
        {NoticeKind::kWeightsKept, "",
         absl::StrCat("the weights of ", assumed_, " transposed convolution(s) (the first is '", first_assumed_,
                      "') are not fake-quantized: they were quantized as PyTorch's default qconfig does, symmetric per "
                      "tensor in -128..127")});
  }
}

}  // namespace qatgap::graph
