#include "tests/conformance/compare_constants.h"

#include <bit>
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

void CompareLayer(const graph::MacLayer& layer, const LayerConstants& expected, Counts& counts) {
  const auto codes = layer.weight.data<std::int32_t>();
  const auto expected_codes = expected.weight.data<std::int8_t>();
  if (codes.size() != expected_codes.size()) {
    counts.weights.Add(false);
    return;
  }
  for (std::size_t i = 0; i < codes.size(); ++i) counts.weights.Add(codes[i] == expected_codes[i]);
  const std::size_t channels = static_cast<std::size_t>(layer.output_channels);
  const auto fits = [&](std::size_t size) { return size == 1 || size == channels; };
  if (!fits(expected.weight_scales.size()) || (expected.bias && expected.bias->size() != channels)) {
    counts.scales.Add(false);
    return;
  }
  const std::size_t scales = std::max(expected.weight_scales.size(), layer.weight_params.scales.size());
  for (std::size_t c = 0; c < scales; ++c) {
    counts.scales.Add(layer.weight_params.scale(c) == At(expected.weight_scales, c));
    counts.zero_points.Add(layer.weight_params.zero_point(c) == At(expected.weight_zero_points, c));
  }
  for (std::size_t c = 0; c < channels; ++c) {
    const float ours = layer.shipped_bias.empty() ? 0.0F : layer.shipped_bias[c];
    const float theirs = expected.bias ? (*expected.bias)[c] : 0.0F;
    counts.biases.Add(SameBits(ours, theirs) || ours == theirs);  // a bias of -0 is one of 0
  }
  if (expected.output_scale) {
    counts.outputs.Add(layer.output.scale() == *expected.output_scale);
    counts.outputs.Add(layer.output.zero_point() == *expected.output_zero_point);
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
  Counts counts;
  std::int64_t missing = 0;
  std::string first_missing, first_differing;
  for (const auto& [name, constants] : expected) {
    const graph::MacLayer* layer = nullptr;
    for (const graph::MacLayer& candidate : found->layers) {
      if (candidate.name == name) layer = &candidate;
    }
    if (layer == nullptr) {
      ++missing;
      if (first_missing.empty()) first_missing = name;
      continue;
    }
    const std::int64_t before = counts.differing();
    CompareLayer(*layer, constants, counts);
    if (counts.differing() != before && first_differing.empty()) first_differing = name;
  }
  row["constants_layers"] = expected.size();
  row["constants_missing"] = missing;
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
