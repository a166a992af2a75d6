#include "analyzers/graph/mac_layers.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>

#include "absl/strings/str_cat.h"
#include "analyzers/graph/operator_names.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::graph {
namespace {

// A fused QAT layer divides by the scale factor sf = gamma / sqrt(var + eps), kept in binary32, and batch norm
// multiplies by the same factor: their exact quotient is 1 within a few units of 2^-24. Such a gain is taken as 1.
constexpr double kUnitGainTolerance = 0x1p-20;

// Reads a constant operand as one real per output channel; nullopt when it is not one.
std::optional<std::vector<double>> PerChannel(const Graph& graph, ValueId value, std::int64_t channels) {
  const Node* node = graph.producer(value);
  if (node == nullptr || node->kind != OpKind::kConstant) return std::nullopt;
  const auto& constant = std::get<ConstantAttributes>(node->attributes);
  if (constant.qparams) return std::nullopt;
  const std::int64_t count = constant.value.elements();
  if (count != 1 && count != channels) return std::nullopt;
  std::vector<double> result(static_cast<std::size_t>(channels));
  for (std::size_t c = 0; c < result.size(); ++c) {
    const std::size_t i = count == 1 ? 0 : c;
    switch (constant.value.dtype()) {
      case DType::kFloat32:
        result[c] = static_cast<double>(constant.value.data<float>()[i]);
        break;
      case DType::kFloat64:
        result[c] = constant.value.data<double>()[i];
        break;
      case DType::kInt64:
        result[c] = static_cast<double>(constant.value.data<std::int64_t>()[i]);
        break;
      default:
        return std::nullopt;
    }
  }
  return result;
}

// How often each value is read, and by which node (the last one found).
struct Uses {
  std::vector<int> count;
  std::vector<NodeId> reader;

  explicit Uses(const Graph& graph) : count(graph.values.size(), 0), reader(graph.values.size(), -1) {
    for (std::size_t id = 0; id < graph.nodes.size(); ++id) {
      for (const ValueId input : graph.nodes[id].inputs) {
        ++count[static_cast<std::size_t>(input)];
        reader[static_cast<std::size_t>(input)] = static_cast<NodeId>(id);
      }
      if (const auto* branch = std::get_if<IfAttributes>(&graph.nodes[id].attributes)) {
        CountOutputs(branch->then_block);
        CountOutputs(branch->else_block);
      }
    }
    CountOutputs(graph.body);
  }

 private:
  void CountOutputs(const Block& block) {
    for (const ValueId output : block.outputs) count[static_cast<std::size_t>(output)] += 2;
  }
};

// The affine operators behind a product, folded: exactly in binary64, and in binary32 as convert() folds batch norm.
struct Fold {
  std::vector<double> gain, offset;
  std::vector<float> shipped;
  std::vector<BatchNormFold> batch_norms;
  bool biased = false;
};

class Matcher {
 public:
  explicit Matcher(const Graph& graph) : graph_(graph), uses_(graph) {}

  MacLayers Run() {
    Walk(graph_.body);
    return std::move(found_);
  }

 private:
  const Node& node(NodeId id) const { return graph_.nodes[static_cast<std::size_t>(id)]; }

  void Walk(const Block& block) {
    for (const NodeId id : block.nodes) {
      const Node& current = node(id);
      if (current.kind == OpKind::kConvolution || current.kind == OpKind::kLinear) {
        MacLayer layer;
        layer.name = UniqueName(current.module_path);
        const std::string reason = Match(id, layer);
        if (reason.empty()) {
          found_.layers.push_back(std::move(layer));
        } else {
          found_.unmatched.push_back({layer.name, current.source_op, reason});
        }
      } else if (const auto* branch = std::get_if<IfAttributes>(&current.attributes)) {
        Walk(branch->then_block);
        Walk(branch->else_block);
      }
    }
  }

  // A module that is called twice gives two layers: "conv" and "conv#2".
  std::string UniqueName(const std::string& path) {
    const int count = ++names_[path];
    return count == 1 ? path : absl::StrCat(path, "#", count);
  }

  // Fills `layer`; returns why it could not, or an empty string.
  std::string Match(NodeId id, MacLayer& layer) {
    const Node& product = node(id);
    layer.kind = product.kind;
    layer.input = product.inputs[0];
    layer.product = product.outputs[0];
    layer.product_node = id;
    if (const auto* attributes = std::get_if<ConvolutionAttributes>(&product.attributes)) {
      layer.convolution = *attributes;
    }
    const Node* weight = graph_.producer(product.inputs[1]);
    const Node* codes = weight != nullptr && weight->kind == OpKind::kDequantize
                            ? graph_.producer(weight->inputs[0])
                            : nullptr;
    if (codes == nullptr || codes->kind != OpKind::kConstant) {
      return "its weight is not a quantized constant";
    }
    const auto& constant = std::get<ConstantAttributes>(codes->attributes);
    layer.weight = constant.value;
    layer.weight_params = *constant.qparams;
    if (layer.weight.shape().size() < 2) return "its weight has fewer than two axes";
    layer.output_channels = layer.convolution.transposed
                                ? layer.weight.dim(1) * layer.convolution.groups
                                : layer.weight.dim(0);
    if (layer.weight_params.per_channel() &&
        (layer.weight_params.scales.size() != static_cast<std::size_t>(layer.output_channels) ||
         layer.weight_params.axis != (layer.convolution.transposed ? 1 : 0))) {
      return "its weight scales are not one per output channel";
    }
    Fold fold;
    if (std::string reason = InitialBias(product, layer.output_channels, fold); !reason.empty()) return reason;
    if (std::string reason = FollowToQuantize(layer, fold); !reason.empty()) return reason;
    for (std::size_t c = 0; c < fold.gain.size(); ++c) {
      if (!(fold.gain[c] > 0) || std::isinf(fold.gain[c])) {
        return absl::StrCat("its output is scaled by ", fold.gain[c], " in channel ", c,
                            ", which no weight scale can hold (scales are positive)");
      }
    }
    Finish(layer, fold);
    layer.input_grids = ReachingGrids(graph_, layer.input);
    return "";
  }

  std::string InitialBias(const Node& product, std::int64_t channels, Fold& fold) {
    const auto count = static_cast<std::size_t>(channels);
    fold.gain.assign(count, 1.0);
    fold.offset.assign(count, 0.0);
    fold.shipped.assign(count, 0.0F);
    if (product.inputs.size() < 3) return "";
    const auto bias = PerChannel(graph_, product.inputs[2], channels);
    if (!bias) return "its bias is not a constant";
    fold.biased = true;
    fold.offset = *bias;
    std::transform(bias->begin(), bias->end(), fold.shipped.begin(),
                   [](double b) { return static_cast<float>(b); });
    return "";
  }

  std::string FollowToQuantize(MacLayer& layer, Fold& fold) {
    ValueId current = layer.product;
    while (true) {
      if (uses_.count[static_cast<std::size_t>(current)] != 1) {
        return "its output is not used by exactly one operator before it is quantized";
      }
      const NodeId next_id = uses_.reader[static_cast<std::size_t>(current)];
      const Node& next = node(next_id);
      if (next.kind == OpKind::kQuantize) {
        layer.output = std::get<QuantizeAttributes>(next.attributes).qparams;
        if (layer.output.per_channel()) return "its output is quantized per channel";
        layer.output_codes = next.outputs[0];
        layer.quantize_node = next_id;
        return "";
      }
      if (layer.activation != numerics::Activation::kNone || !Absorb(next, current, layer, fold)) {
        return absl::StrCat("its output goes through '", Text(ToString(next.kind)), "' before it is quantized");
      }
      current = next.outputs[0];
    }
  }

  // Takes one operator behind the product into the fold; false when it is none that a MAC layer absorbs.
  bool Absorb(const Node& next, ValueId current, MacLayer& layer, Fold& fold) {
    const std::int64_t channels = layer.output_channels;
    if (next.kind == OpKind::kRelu) {
      layer.activation = numerics::Activation::kRelu;
      return true;
    }
    if (next.kind == OpKind::kClamp) {
      const auto& clamp = std::get<ClampAttributes>(next.attributes);
      if (clamp.min != 0 || clamp.max != 6) return false;
      layer.activation = numerics::Activation::kRelu6;
      return true;
    }
    if (next.kind == OpKind::kBatchNorm) return AbsorbBatchNorm(next, channels, fold);
    if (next.inputs.size() != 2) return false;
    const bool current_first = next.inputs[0] == current;
    const ValueId constant = next.inputs[current_first ? 1 : 0];
    const auto operand = PerChannel(graph_, constant, channels);
    if (!operand || !AlignsWithChannels(constant, layer)) return false;
    for (std::size_t c = 0; c < operand->size(); ++c) {
      const double v = (*operand)[c];
      if (next.kind == OpKind::kAdd) {
        fold.offset[c] += v;
        fold.shipped[c] += static_cast<float>(v);
      } else if (next.kind == OpKind::kSub && current_first) {
        fold.offset[c] -= v;
        fold.shipped[c] -= static_cast<float>(v);
      } else if (next.kind == OpKind::kMul) {
        fold.gain[c] *= v;
        fold.offset[c] *= v;
        fold.shipped[c] *= static_cast<float>(v);
      } else if (next.kind == OpKind::kDiv && current_first) {
        fold.gain[c] /= v;
        fold.offset[c] /= v;
        fold.shipped[c] /= static_cast<float>(v);
      } else {
        return false;
      }
    }
    fold.biased = fold.biased || next.kind == OpKind::kAdd || next.kind == OpKind::kSub;
    return true;
  }

  // Whether a constant of one element per channel broadcasts along the channel axis of the product: the last axis of a
  // linear, the axis in front of the spatial ones of a convolution.
  bool AlignsWithChannels(ValueId constant, const MacLayer& layer) const {
    const Tensor& value = std::get<ConstantAttributes>(graph_.producer(constant)->attributes).value;
    if (value.elements() == 1) return true;
    const Shape& shape = value.shape();
    const std::size_t behind = layer.kind == OpKind::kConvolution ? layer.weight.shape().size() - 2 : 0;
    return shape.size() > behind && shape[shape.size() - 1 - behind] == layer.output_channels;
  }

  bool AbsorbBatchNorm(const Node& next, std::int64_t channels, Fold& fold) {
    std::array<std::vector<double>, 4> constants;  // gamma, beta, mean, variance
    for (std::size_t i = 0; i < constants.size(); ++i) {
      auto operand = PerChannel(graph_, next.inputs[i + 1], channels);
      if (!operand) return false;
      constants[i] = *std::move(operand);
    }
    const auto& [gamma, beta, mean, variance] = constants;
    const double epsilon = std::get<BatchNormAttributes>(next.attributes).epsilon;
    BatchNormFold parts{.epsilon = epsilon, .gamma = gamma, .beta = beta, .mean = mean, .variance = variance,
                        .bias = fold.offset, .factor = {}, .folded_bias = {}};
    for (std::size_t c = 0; c < gamma.size(); ++c) {
      const double factor = gamma[c] / std::sqrt(variance[c] + epsilon);
      fold.gain[c] *= factor;
      fold.offset[c] = (fold.offset[c] - mean[c]) * factor + beta[c];
      parts.factor.push_back(factor);
      // convert(): (conv_b - mean) * rsqrt(var + eps) * gamma + beta, each operation rounded to binary32
      // (torch.nn.utils.fusion.fuse_conv_bn_weights, PyTorch 2.13).
      const float reciprocal_root =
          1.0F / std::sqrt(static_cast<float>(variance[c]) + static_cast<float>(epsilon));
      fold.shipped[c] = (fold.shipped[c] - static_cast<float>(mean[c])) * reciprocal_root *
                            static_cast<float>(gamma[c]) +
                        static_cast<float>(beta[c]);
    }
    parts.folded_bias = fold.offset;
    fold.batch_norms.push_back(std::move(parts));
    fold.biased = true;
    return true;
  }

  static void Finish(MacLayer& layer, Fold& fold) {
    if (fold.biased) {
      layer.bias = std::move(fold.offset);
      layer.shipped_bias = std::move(fold.shipped);
    }
    layer.batch_norms = std::move(fold.batch_norms);
    const bool unit = std::all_of(fold.gain.begin(), fold.gain.end(), [](double gain) {
      return std::abs(gain - 1.0) <= kUnitGainTolerance;
    });
    if (unit) return;
    numerics::QuantParams& params = layer.weight_params;
    std::vector<double> scales(fold.gain.size());
    std::vector<std::int64_t> zero_points(fold.gain.size());
    for (std::size_t c = 0; c < scales.size(); ++c) {
      scales[c] = params.scale(c) * fold.gain[c];
      zero_points[c] = params.zero_point(c);
    }
    params.scales = std::move(scales);
    params.zero_points = std::move(zero_points);
    params.axis = layer.convolution.transposed ? 1 : 0;
  }

  const Graph& graph_;
  Uses uses_;
  MacLayers found_;
  std::map<std::string, int> names_;
};

// Appends the grids of a value that holds codes.
void AppendCodeGrids(const Graph& graph, ValueId codes, std::vector<numerics::QuantParams>& grids, bool& off_grid);

void AppendRealGrids(const Graph& graph, ValueId value, std::vector<numerics::QuantParams>& grids, bool& off_grid) {
  const Node* node = graph.producer(value);
  if (node == nullptr) {
    off_grid = true;
    return;
  }
  switch (node->kind) {
    case OpKind::kDequantize:
      AppendCodeGrids(graph, node->inputs[0], grids, off_grid);
      return;
    // These move or select elements, and ReLU maps the grid onto itself since 0 is on every grid.
    case OpKind::kFlatten:
    case OpKind::kReshape:
    case OpKind::kPermute:
    case OpKind::kMaxPool2d:
    case OpKind::kRelu:
      AppendRealGrids(graph, node->inputs[0], grids, off_grid);
      return;
    case OpKind::kOperator: {
      const auto& call = std::get<OperatorAttributes>(node->attributes);
      if (!MovesElements(call.name) || node->inputs.empty()) break;
      AppendRealGrids(graph, node->inputs[0], grids, off_grid);
      return;
    }
    case OpKind::kIf: {
      const auto& branch = std::get<IfAttributes>(node->attributes);
      const auto index = static_cast<std::size_t>(
          std::find(node->outputs.begin(), node->outputs.end(), value) - node->outputs.begin());
      AppendRealGrids(graph, branch.then_block.outputs[index], grids, off_grid);
      AppendRealGrids(graph, branch.else_block.outputs[index], grids, off_grid);
      return;
    }
    default:
      break;
  }
  off_grid = true;
}

void AppendCodeGrids(const Graph& graph, ValueId codes, std::vector<numerics::QuantParams>& grids, bool& off_grid) {
  const Node* node = graph.producer(codes);
  if (node == nullptr) {
    off_grid = true;
    return;
  }
  if (const auto* quantize = std::get_if<QuantizeAttributes>(&node->attributes)) {
    grids.push_back(quantize->qparams);
  } else if (node->kind == OpKind::kQuantizeLike) {
    AppendCodeGrids(graph, node->inputs[1], grids, off_grid);
  } else if (const auto* constant = std::get_if<ConstantAttributes>(&node->attributes)) {
    grids.push_back(*constant->qparams);
  } else if (const auto* branch = std::get_if<IfAttributes>(&node->attributes)) {
    const auto index = static_cast<std::size_t>(
        std::find(node->outputs.begin(), node->outputs.end(), codes) - node->outputs.begin());
    AppendCodeGrids(graph, branch->then_block.outputs[index], grids, off_grid);
    AppendCodeGrids(graph, branch->else_block.outputs[index], grids, off_grid);
  }
}

}  // namespace

absl::StatusOr<MacLayers> FindMacLayers(const Graph& graph) {
  QATGAP_RETURN_IF_ERROR(Verify(graph));
  return Matcher(graph).Run();
}

std::vector<numerics::QuantParams> ReachingGrids(const Graph& graph, ValueId value) {
  std::vector<numerics::QuantParams> grids;
  bool off_grid = false;
  AppendRealGrids(graph, value, grids, off_grid);
  if (off_grid) return {};
  // Two producers with one grid are one input of the layer.
  std::vector<numerics::QuantParams> distinct;
  for (numerics::QuantParams& grid : grids) {
    if (std::find(distinct.begin(), distinct.end(), grid) == distinct.end()) distinct.push_back(std::move(grid));
  }
  return distinct;
}

}  // namespace qatgap::graph
