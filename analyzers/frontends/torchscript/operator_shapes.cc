// Shapes of what kOperator nodes give.
#include <algorithm>
#include <set>
#include <string_view>

#include "analyzers/frontends/torchscript/extents.h"

namespace qatgap::frontends::torchscript {
namespace {

using graph::Node;
using graph::ValueId;

std::optional<std::int64_t> IntOf(const graph::OperatorAttributes& call, std::size_t i) {
  if (i >= call.arguments.size()) return std::nullopt;
  const auto* value = std::get_if<std::int64_t>(&call.arguments[i]);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

}  // namespace

std::optional<SymbolicShape> ShapeTable::InferOperator(const Node& node) const {
  const auto& call = std::get<graph::OperatorAttributes>(node.attributes);
  const SymbolicShape* x = InputShape(node, 0);
  if (x == nullptr) return std::nullopt;
  SymbolicShape shape = *x;
  const std::string_view name = call.name;
  const auto axis_at = [&](std::size_t i, std::size_t rank) { return AxisFromStart(IntOf(call, i), rank); };
  const ValueId out = node.outputs[0];
  const auto fresh = [&](std::size_t axis) { return Extent::Of(out, static_cast<int>(axis)); };
  if (name == "aten::transpose" || name == "aten::swapaxes") {
    const auto a = axis_at(1, shape.size()), b = axis_at(2, shape.size());
    if (!a || !b) return std::nullopt;
    std::swap(shape[*a], shape[*b]);
    return shape;
  }
  if (name == "aten::t") {
    std::reverse(shape.begin(), shape.end());
    return shape;
  }
  if (name == "aten::unsqueeze") {
    const auto axis = axis_at(1, shape.size() + 1);
    if (!axis) return std::nullopt;
    shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(*axis), Extent::Number(1));
    return shape;
  }
  if (name == "aten::squeeze") {
    const auto axis = axis_at(1, shape.size());
    if (!axis || !shape[*axis].is_number()) return std::nullopt;
    if (shape[*axis].numerator == 1) shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(*axis));
    return shape;
  }
  if (name == "aten::select" || name == "aten::unbind") {
    const auto axis = AxisFromStart(IntOf(call, 1).value_or(0), shape.size());
    if (!axis) return std::nullopt;
    shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(*axis));
    return shape;
  }
  if (name == "aten::slice" || name == "aten::narrow" || name == "aten::split" || name == "aten::split_with_sizes" ||
      name == "aten::tensor_split" || name == "aten::chunk" || name == "aten::index_select") {
    const bool second = name == "aten::slice" || name == "aten::narrow" || name == "aten::index_select";
    const auto axis = AxisFromStart(IntOf(call, second ? 1 : 2).value_or(0), shape.size());
    if (!axis) return std::nullopt;
    const Extent whole = shape[*axis];
    shape[*axis] = fresh(*axis);
    if (name == "aten::narrow" && IntOf(call, 3)) shape[*axis] = Extent::Number(*IntOf(call, 3));
    if (name == "aten::slice" && whole.is_number()) {
      const std::int64_t size = std::max<std::int64_t>(whole.numerator, 0);
      const auto clip = [&](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + size : at, 0, size); };
      const std::int64_t begin = clip(IntOf(call, 2).value_or(0)), end = clip(IntOf(call, 3).value_or(size));
      const std::int64_t step = IntOf(call, 4).value_or(1);
      if (step > 0) shape[*axis] = Extent::Number(end <= begin ? 0 : (end - begin - 1) / step + 1);
    }
    if (name == "aten::chunk" && whole.is_number() && IntOf(call, 1).value_or(0) > 0 &&
        whole.numerator % *IntOf(call, 1) == 0) {
      shape[*axis] = Extent::Number(whole.numerator / *IntOf(call, 1));
    }
    if (name == "aten::split" && whole.is_number() && IntOf(call, 1).value_or(0) > 0 &&
        whole.numerator % *IntOf(call, 1) == 0) {
      shape[*axis] = Extent::Number(*IntOf(call, 1));
    }
    return shape;
  }
  if (name == "aten::unflatten") {
    const auto axis = axis_at(1, shape.size());
    const auto* sizes = call.arguments.size() > 2 ? std::get_if<std::vector<std::int64_t>>(&call.arguments[2]) : nullptr;
    if (!axis || sizes == nullptr) return std::nullopt;
    std::optional<Extent> rest = shape[*axis];
    for (const std::int64_t size : *sizes) {
      if (size != -1 && rest) rest = Quotient(*rest, Extent::Number(size));
    }
    SymbolicShape parts;
    for (const std::int64_t size : *sizes) {
      if (size == -1 && !rest) return std::nullopt;
      parts.push_back(size == -1 ? *rest : Extent::Number(size));
    }
    shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(*axis));
    shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(*axis), parts.begin(), parts.end());
    return shape;
  }
  if (name == "aten::matmul" || name == "aten::bmm" || name == "aten::mm") {
    const SymbolicShape* y = InputShape(node, 1);
    if (y == nullptr || shape.size() < 2 || y->size() < 2) return std::nullopt;
    SymbolicShape batch = Broadcast(SymbolicShape(shape.begin(), shape.end() - 2), SymbolicShape(y->begin(), y->end() - 2), out);
    batch.push_back(shape[shape.size() - 2]);
    batch.push_back(y->back());
    return batch;
  }
  if (name == "aten::scaled_dot_product_attention") {
    const SymbolicShape* v = InputShape(node, 2);
    if (v == nullptr || v->empty() || shape.empty()) return std::nullopt;
    shape.back() = v->back();
    return shape;
  }
  if (name == "aten::embedding") {  // (weight, indices)
    const SymbolicShape* indices = InputShape(node, 1);
    if (indices == nullptr || shape.size() != 2) return std::nullopt;
    SymbolicShape result = *indices;
    result.push_back(shape[1]);
    return result;
  }
  static const std::set<std::string_view> kSpatial = {
      "aten::constant_pad_nd", "aten::reflection_pad1d", "aten::reflection_pad2d", "aten::replication_pad1d",
      "aten::replication_pad2d", "aten::upsample_nearest1d", "aten::upsample_nearest2d", "aten::upsample_nearest3d",
      "aten::upsample_bilinear2d", "aten::upsample_bicubic2d", "aten::max_pool1d", "aten::max_pool3d", "aten::avg_pool1d",
      "aten::avg_pool3d", "aten::adaptive_avg_pool1d", "aten::adaptive_avg_pool3d", "aten::adaptive_max_pool1d",
      "aten::adaptive_max_pool2d", "aten::adaptive_max_pool3d"};
  if (kSpatial.contains(name) && shape.size() >= 3) {
    // A pad of more axes than the spatial ones is rare: its list says how many axes it changes.
    std::size_t first = 2;
    if (name == "aten::constant_pad_nd") {
      const auto* pad = call.arguments.size() > 1 ? std::get_if<std::vector<std::int64_t>>(&call.arguments[1]) : nullptr;
      if (pad == nullptr || pad->size() / 2 > shape.size()) return std::nullopt;
      first = shape.size() - pad->size() / 2;
    }
    for (std::size_t axis = first; axis < shape.size(); ++axis) shape[axis] = fresh(axis);
    return shape;
  }
  return std::nullopt;
}

}  // namespace qatgap::frontends::torchscript
