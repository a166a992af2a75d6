// In which order a value of the graph holds the axes of a tensor of the file.
//
// TensorFlow Lite convolves N, height, width, channels; the graph convolves N, channels, height, width. A tensor's
// value is kept as the operator that made it left it, with its order beside it, and is permuted only for a reader that
// wants another one: a chain of convolutions has no permutation in it, and a TRANSPOSE of the file is no node at all.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

namespace qatgap::frontends::tflite {

// order[i] is the tensor's axis that is axis i of the value.
using AxisOrder = std::vector<int>;

inline AxisOrder FileOrder(std::size_t rank) {
  AxisOrder order(rank);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

// N, channels, height, width of an N, height, width, channels tensor.
inline const AxisOrder& ChannelsFirst() {
  static const AxisOrder order = {0, 3, 1, 2};
  return order;
}

// The value's axis that holds `axis` of the tensor.
inline int AxisOfValue(const AxisOrder& order, int axis) {
  return static_cast<int>(std::find(order.begin(), order.end(), axis) - order.begin());
}

// The axes of a kPermute from a value in `from` to one in `to`.
inline std::vector<std::int64_t> PermutationTo(const AxisOrder& from, const AxisOrder& to) {
  std::vector<std::int64_t> sizes;
  for (const int axis : to) sizes.push_back(AxisOfValue(from, axis));
  return sizes;
}

// The order that is left when the tensor loses `axes`.
inline AxisOrder WithoutAxes(const AxisOrder& order, const std::vector<int>& axes) {
  AxisOrder left;
  for (const int axis : order) {
    if (std::find(axes.begin(), axes.end(), axis) != axes.end()) continue;
    left.push_back(axis - static_cast<int>(std::count_if(axes.begin(), axes.end(), [&](int a) { return a < axis; })));
  }
  return left;
}

}  // namespace qatgap::frontends::tflite
