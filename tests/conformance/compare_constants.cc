#include "tests/conformance/compare_constants.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <vector>

#include "analyzers/graph/mac_layers.h"

namespace qatgap::conformance {
namespace {

struct Count {
  std::int64_t compared = 0, differing = 0;
  void Add(bool equal) {
    ++compared;
    differing += equal ? 0 : 1;
  }
};

struct Counts {
  Count weights, scales, zero_points, biases, outputs;
  std::int64_t differing() const {
    return weights.differing + scales.differing + zero_points.differing + biases.differing + outputs.differing;
  }
};

bool SameBits(float a, float b) { return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b); }

// Per channel and per tensor stand for the same where there is one channel.
template <typename T>
T At(const std::vector<T>& values, std::size_t channel) {
  return values[values.size() == 1 ? 0 : channel];
}

// What a graph holds of one product with quantized weights; a MAC layer, or one without a quantized output.
struct Found {
  std::string name;
  graph::Tensor weight;                  // int32
  numerics::QuantParams weight_params;
  std::vector<float> bias;               // empty: none
  std::optional<numerics::QuantParams> output;
};

Found Of(const graph::MacLayer& layer) {
  return {.name = layer.name, .weight = layer.weight, .weight_params = layer.weight_params, .bias = layer.shipped_bias,
          .output = layer.output};
}

const graph::ConstantAttributes* Constant(const graph::Node* node) {
  return node == nullptr ? nullptr : std::get_if<graph::ConstantAttributes>(&node->attributes);
}

// A product whose output is float has no output codes and so is no MAC layer; its constants are compared all the same.
std::optional<Found> OfProduct(const graph::Graph& graph, const graph::Node& node) {
  if (node.kind != graph::OpKind::kConvolution && node.kind != graph::OpKind::kLinear) return std::nullopt;
  const graph::Node* dequantize = graph.producer(node.inputs[1]);
  if (dequantize == nullptr || dequantize->kind != graph::OpKind::kDequantize) return std::nullopt;
  const graph::ConstantAttributes* weight = Constant(graph.producer(dequantize->inputs[0]));
  if (weight == nullptr || !weight->qparams) return std::nullopt;
  Found found{.name = node.module_path, .weight = weight->value, .weight_params = *weight->qparams, .bias = {}, .output = {}};
  if (node.inputs.size() < 3) return found;
  const graph::ConstantAttributes* bias = Constant(graph.producer(node.inputs[2]));
  if (bias == nullptr || bias->value.dtype() != graph::DType::kFloat32) return std::nullopt;
  found.bias.assign(bias->value.data<float>().begin(), bias->value.data<float>().end());
  return found;
}

void CompareLayer(const Found& layer, const LayerConstants& expected, Counts& counts) {
  const auto codes = layer.weight.data<std::int32_t>();
  const auto expected_codes = expected.weight.data<std::int8_t>();
  if (codes.size() != expected_codes.size()) {
    counts.weights.Add(false);
    return;
  }
  for (std::size_t i = 0; i < codes.size(); ++i) counts.weights.Add(codes[i] == expected_codes[i]);
  const std::size_t channels =
      std::max({expected.weight_scales.size(), layer.weight_params.scales.size(), layer.bias.size(),
                expected.bias ? expected.bias->size() : std::size_t{1}});
  const auto fits = [&](std::size_t size) { return size == 1 || size == channels; };
  if (!fits(expected.weight_scales.size()) || !fits(layer.weight_params.scales.size()) ||
      (!layer.bias.empty() && layer.bias.size() != channels) || (expected.bias && expected.bias->size() != channels)) {
    counts.scales.Add(false);
    return;
  }
  const std::size_t scales = std::max(expected.weight_scales.size(), layer.weight_params.scales.size());
  for (std::size_t c = 0; c < scales; ++c) {
    counts.scales.Add(layer.weight_params.scale(c) == At(expected.weight_scales, c));
    counts.zero_points.Add(layer.weight_params.zero_point(c) == At(expected.weight_zero_points, c));
  }
  for (std::size_t c = 0; c < channels; ++c) {
    const float ours = layer.bias.empty() ? 0.0F : layer.bias[c];
    const float theirs = expected.bias ? (*expected.bias)[c] : 0.0F;
    counts.biases.Add(SameBits(ours, theirs) || ours == theirs);  // a bias of -0 is one of 0
  }
  if (expected.output_scale) {
    counts.outputs.Add(layer.output && layer.output->scale() == *expected.output_scale);
    counts.outputs.Add(layer.output && layer.output->zero_point() == *expected.output_zero_point);
  }
}

}  // namespace

void CompareConstants(const graph::Graph& graph, const std::map<std::string, LayerConstants>& expected,
                      nlohmann::ordered_json& row) {
  const auto found = graph::FindMacLayers(graph);
  if (!found.ok()) {
    row["constants_error"] = std::string(found.status().message());
    return;
  }
  std::map<std::string, Found> layers;
  for (const graph::Node& node : graph.nodes) {
    if (auto product = OfProduct(graph, node)) layers.insert_or_assign(node.module_path, *std::move(product));
  }
  // The constants at the product itself, where they can be read, since a MAC layer's own include what is behind it (a batch
  // norm that a converter left in float).
  for (const graph::MacLayer& layer : found->layers) {
    const auto product = layers.try_emplace(layer.name, Of(layer)).first;
    product->second.output = layer.output;
  }
  Counts counts;
  std::int64_t missing = 0, without_output = 0;
  std::string first_missing, first_differing;
  for (const auto& [name, constants] : expected) {
    const auto layer = layers.find(name);
    if (layer == layers.end()) {
      ++missing;
      if (first_missing.empty()) first_missing = name;
      continue;
    }
    without_output += layer->second.output ? 0 : 1;
    const std::int64_t before = counts.differing();
    CompareLayer(layer->second, constants, counts);
    if (counts.differing() != before && first_differing.empty()) first_differing = name;
  }
  row["constants_layers"] = expected.size();
  row["constants_missing"] = missing;
  row["constants_float_outputs"] = without_output;
  if (!first_missing.empty()) {
    row["constants_first_missing"] = first_missing;
    for (const graph::UnmatchedMac& mac : found->unmatched) row["constants_unmatched"].push_back(mac.name + ": " + mac.reason);
  }
  if (!first_differing.empty()) row["constants_first_differing"] = first_differing;
  const auto put = [&](const std::string& what, const Count& count) {
    row["constants_" + what] = count.compared;
    row["constants_" + what + "_differing"] = count.differing;
  };
  put("weights", counts.weights);
  put("scales", counts.scales);
  put("zero_points", counts.zero_points);
  put("biases", counts.biases);
  put("outputs", counts.outputs);
}

}  // namespace qatgap::conformance
