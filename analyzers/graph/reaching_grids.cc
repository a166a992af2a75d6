// Where a real value comes from, and on which integer grids it can lie.
#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "analyzers/graph/mac_layers.h"
#include "analyzers/graph/operator_names.h"

namespace qatgap::graph {
namespace {

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
