// Images with channels in front of the spatial axes (PyTorch, ONNX) and behind them (TFLite).
#pragma once

#include <span>
#include <vector>

#include "analyzers/graph/graph.h"
#include "analyzers/graph/tensor.h"

namespace qatgap::attribution {

enum class ChannelMove {
  kToEnd,    // [n, c, h, w] -> [n, h, w, c]
  kToFront,  // [n, h, w, c] -> [n, c, h, w]
};

// Shapes of fewer than three axes stay as they are.
graph::Shape MovedShape(const graph::Shape& shape, ChannelMove move);
graph::Tensor MoveChannels(const graph::Tensor& tensor, ChannelMove move);

// The inputs as `graph` takes them: one that does not fit the shape that the file declares, but fits it with its channels
// moved, is moved. The first axis holds samples and fits any; -1 fits any extent. Others, and graphs that declare no
// shapes, get what they are given.
std::vector<graph::Tensor> InputsInLayoutOf(const graph::Graph& graph, std::span<const graph::Tensor> inputs);

}  // namespace qatgap::attribution
