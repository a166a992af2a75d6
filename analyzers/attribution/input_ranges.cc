#include "analyzers/attribution/input_ranges.h"

#include <algorithm>
#include <cstdint>

namespace qatgap::attribution {
namespace {

const numerics::QuantParams* GridOf(const graph::Graph& graph, graph::ValueId input) {
  for (const graph::Node& node : graph.nodes) {
    if (node.kind != graph::OpKind::kQuantize || node.inputs[0] != input) continue;
    const auto& grid = std::get<graph::QuantizeAttributes>(node.attributes).qparams;
    if (!grid.per_channel()) return &grid;
  }
  return nullptr;
}

}  // namespace

std::vector<report::InputRange> InputRangesOf(const graph::Graph& graph) {
  std::vector<report::InputRange> ranges;
  for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
    if (const numerics::QuantParams* grid = GridOf(graph, graph.inputs[i])) {
      ranges.push_back({.name = graph.input_name(i), .grid = *grid});
    }
  }
  return ranges;
}

void AddInputs(const graph::Graph& graph, std::span<const graph::Tensor> inputs, std::vector<report::InputRange>& ranges) {
  auto range = ranges.begin();
  for (std::size_t i = 0; i < inputs.size() && range != ranges.end(); ++i) {
    if (range->name != graph.input_name(i)) continue;
    report::InputRange& known = *range++;
    if (inputs[i].dtype() != graph::DType::kFloat32 || inputs[i].elements() == 0) continue;
    const auto values = inputs[i].data<float>();
    const double scale = known.grid.scale();
    const auto zero = static_cast<double>(known.grid.zero_point());
    const double low = scale * (static_cast<double>(known.grid.quant_min) - zero - 0.5);
    const double high = scale * (static_cast<double>(known.grid.quant_max) - zero + 0.5);
    report::InputRange batch{.name = {}, .grid = {}, .count = values.size()};
    batch.least = batch.greatest = values[0];
    for (const float value : values) {
      batch.least = std::min(batch.least, value);
      batch.greatest = std::max(batch.greatest, value);
      const auto real = static_cast<double>(value);
      batch.clipped += real < low || real > high ? 1U : 0U;
    }
    report::Merge(known, batch);
  }
}

}  // namespace qatgap::attribution
