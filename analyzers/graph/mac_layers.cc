#include "analyzers/graph/mac_layers.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>

#include "absl/strings/str_cat.h"
#include "analyzers/graph/passes/convert_arithmetic.h"
#include "analyzers/graph/passes/fake_quant_twin.h"
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

std::vector<float> InBinary32(const std::vector<double>& values) { return {values.begin(), values.end()}; }

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
  std::vector<std::int64_t> stored;     // a bias that came as integers; none once an affine operator is behind it
  std::vector<double> stored_scales;
  bool biased = false;
};

// Codes behind a dequantize, one per output channel; false when they are not that.
bool TakeIntegers(const ConstantAttributes& constant, std::int64_t channels, Fold& fold) {
  const numerics::QuantParams& params = *constant.qparams;
  const auto codes = constant.value.data<std::int32_t>();
  const auto count = static_cast<std::size_t>(channels);
  if (codes.size() != count || (params.per_channel() && params.scales.size() != count)) return false;
  for (std::size_t c = 0; c < count; ++c) {
    fold.stored.push_back(codes[c] - params.zero_point(c));
    fold.stored_scales.push_back(params.scale(c));
    fold.offset[c] = static_cast<double>(fold.stored[c]) * params.scale(c);
    fold.shipped[c] = static_cast<float>(fold.offset[c]);
  }
  return true;
}

class Matcher {
 public:
  // Of a float model products with real weights are layers, and their output needs no codes.
  Matcher(const Graph& graph, bool float_model) : graph_(graph), uses_(graph), float_model_(float_model) {}

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
          found_.unmatched.push_back({layer.name, current.source_op, reason, !layer.weight_params.scales.empty()});
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
    if (!TakeWeight(product, layer)) {
      return float_model_ ? "its weight is not a constant" : "its weight is not a quantized constant";
    }
    if (layer.weight.shape().size() < 2) return "its weight has fewer than two axes";
    layer.output_channels = layer.convolution.transposed
                                ? layer.weight.dim(1) * layer.convolution.groups
                                : layer.weight.dim(0);
    if (layer.weight_params.per_channel() &&
        layer.weight_params.scales.size() != static_cast<std::size_t>(layer.output_channels)) {
      return "its weight scales are not one per output channel";
    }
    const int channel_axis = layer.convolution.transposed ? 1 : 0;
    if (layer.weight_params.per_channel() && layer.weight_params.axis != channel_axis) {
      // PT2E quantizes the weight [in, out / groups, ...] of a transposed convolution along axis 0.
      return absl::StrCat("its weight scales lie along axis ", layer.weight_params.axis,
                          ", which is not that of its output channels");
    }
    Fold fold;
    if (std::string reason = InitialBias(product, layer.output_channels, fold); !reason.empty()) return reason;
    std::string reason = FollowToQuantize(layer, fold);
    if (float_model_) {
      TakeBias(layer, fold);
      return "";
    }
    if (!reason.empty()) return reason;
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

  bool TakeWeight(const Node& product, MacLayer& layer) const {
    if (float_model_) {
      const Node* weight = graph_.producer(product.inputs[1]);
      if (weight == nullptr || weight->kind != OpKind::kConstant) return false;
      layer.weight = std::get<ConstantAttributes>(weight->attributes).value;
      return true;
    }
    const ConstantAttributes* codes = CodeConstantBehind(graph_, product.inputs[1]);
    if (codes == nullptr) return false;
    layer.weight = codes->value;
    layer.weight_params = *codes->qparams;
    return true;
  }

  std::string InitialBias(const Node& product, std::int64_t channels, Fold& fold) {
    const auto count = static_cast<std::size_t>(channels);
    fold.gain.assign(count, 1.0);
    fold.offset.assign(count, 0.0);
    fold.shipped.assign(count, 0.0F);
    if (product.inputs.size() < 3) return "";
    if (const ConstantAttributes* codes = CodeConstantBehind(graph_, product.inputs[2])) {
      fold.biased = true;
      return TakeIntegers(*codes, channels, fold) ? "" : "its integer bias is not one code per output channel";
    }
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
    if (next.kind == OpKind::kBatchNorm) return AbsorbBatchNorm(next, layer, fold);
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
    fold.stored.clear();
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

  bool AbsorbBatchNorm(const Node& next, const MacLayer& layer, Fold& fold) {
    const std::int64_t channels = layer.output_channels;
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
    }
    // As convert() folds it; the constants of the file are binary32.
    fold.shipped = FoldBatchNormBias(fold.shipped,
                                     {.gamma = InBinary32(gamma), .beta = InBinary32(beta), .mean = InBinary32(mean),
                                      .variance = InBinary32(variance), .epsilon = static_cast<float>(epsilon)},
                                     layer.kind == OpKind::kLinear);
    fold.stored.clear();
    parts.folded_bias = fold.offset;
    fold.batch_norms.push_back(std::move(parts));
    fold.biased = true;
    return true;
  }

  static void TakeBias(MacLayer& layer, Fold& fold) {
    if (fold.biased) {
      layer.bias = std::move(fold.offset);
      layer.shipped_bias = std::move(fold.shipped);
    }
    if (!fold.stored.empty()) {
      layer.stored_bias = std::move(fold.stored);
      layer.stored_bias_scales = std::move(fold.stored_scales);
    }
    layer.batch_norms = std::move(fold.batch_norms);
  }

  static void Finish(MacLayer& layer, Fold& fold) {
    TakeBias(layer, fold);
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
  bool float_model_;
  MacLayers found_;
  std::map<std::string, int> names_;
};

}  // namespace

absl::StatusOr<MacLayers> FindMacLayers(const Graph& graph) {
  QATGAP_RETURN_IF_ERROR(Verify(graph));
  return Matcher(graph, /*float_model=*/false).Run();
}

absl::StatusOr<MacLayers> FindFloatLayers(const Graph& graph) {
  QATGAP_RETURN_IF_ERROR(Verify(graph));
  return Matcher(graph, /*float_model=*/true).Run();
}

}  // namespace qatgap::graph
