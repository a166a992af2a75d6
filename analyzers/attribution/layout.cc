#include "analyzers/attribution/layout.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace qatgap::attribution {
namespace {

bool Fits(const graph::Shape& shape, const graph::Shape& declared) {
  if (shape.size() != declared.size()) return false;
  for (std::size_t i = 1; i < shape.size(); ++i) {
    if (declared[i] >= 0 && declared[i] != shape[i]) return false;
  }
  return true;
}

}  // namespace

graph::Shape MovedShape(const graph::Shape& shape, ChannelMove move) {
  graph::Shape moved = shape;
  if (moved.size() < 3) return moved;
  if (move == ChannelMove::kToEnd) {
    std::rotate(moved.begin() + 1, moved.begin() + 2, moved.end());
  } else {
    std::rotate(moved.begin() + 1, moved.end() - 1, moved.end());
  }
  return moved;
}

graph::Tensor MoveChannels(const graph::Tensor& tensor, ChannelMove move) {
  const graph::Shape& shape = tensor.shape();
  if (shape.size() < 3 || tensor.elements() == 0) return tensor;
  graph::Tensor moved(tensor.dtype(), MovedShape(shape, move));
  const auto samples = static_cast<std::size_t>(shape[0]);
  const auto channels = static_cast<std::size_t>(move == ChannelMove::kToEnd ? shape[1] : shape.back());
  const std::size_t pixels = static_cast<std::size_t>(tensor.elements()) / samples / channels;
  // [rows][columns] -> [columns][rows], a sample.
  const std::size_t rows = move == ChannelMove::kToEnd ? channels : pixels, columns = move == ChannelMove::kToEnd ? pixels : channels;
  const std::size_t size = graph::SizeOf(tensor.dtype());
  const auto* from = static_cast<const unsigned char*>(tensor.storage().get());
  auto* to = static_cast<unsigned char*>(moved.storage().get());
  for (std::size_t n = 0; n < samples; ++n) {
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < columns; ++c) {
        std::memcpy(to + ((n * columns + c) * rows + r) * size, from + ((n * rows + r) * columns + c) * size, size);
      }
    }
  }
  return moved;
}

std::vector<graph::Tensor> InputsInLayoutOf(const graph::Graph& graph, std::span<const graph::Tensor> inputs) {
  std::vector<graph::Tensor> fitted(inputs.begin(), inputs.end());
  for (std::size_t i = 0; i < std::min(fitted.size(), graph.input_shapes.size()); ++i) {
    const graph::Shape& declared = graph.input_shapes[i];
    if (Fits(fitted[i].shape(), declared)) continue;
    for (const ChannelMove move : {ChannelMove::kToEnd, ChannelMove::kToFront}) {
      if (!Fits(MovedShape(fitted[i].shape(), move), declared)) continue;
      fitted[i] = MoveChannels(fitted[i], move);
      break;
    }
  }
  return fitted;
}

}  // namespace qatgap::attribution
