#include "analyzers/graph/passes/rebase_codes.h"

namespace qatgap::graph {

bool IsOnBase(const numerics::QuantParams& grid, CodeBase base) {
  if (base == CodeBase::kUnsigned) return grid.quant_min >= 0 && grid.quant_max <= 255;
  return grid.quant_min < 0 && grid.quant_min >= -128 && grid.quant_max <= 127;
}

void RebaseCodes(Graph& graph, CodeBase base) {
  const CodeBase other = base == CodeBase::kSigned ? CodeBase::kUnsigned : CodeBase::kSigned;
  const std::int64_t shift = base == CodeBase::kSigned ? -128 : 128;
  for (Node& node : graph.nodes) {
    if (node.kind != OpKind::kQuantize) continue;
    numerics::QuantParams& params = std::get<QuantizeAttributes>(node.attributes).qparams;
    if (params.per_channel() || !IsOnBase(params, other)) continue;
    params.quant_min += shift;
    params.quant_max += shift;
    params.zero_points[0] += shift;
  }
}

}  // namespace qatgap::graph
