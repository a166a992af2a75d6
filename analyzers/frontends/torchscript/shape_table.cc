// The shapes of the graph's values: enough of each operator to resolve views, not more.
#include <algorithm>
#include <set>
#include <string_view>

#include "analyzers/frontends/torchscript/extents.h"

namespace qatgap::frontends::torchscript {
namespace {

using graph::Node;
using graph::OpKind;
using graph::ValueId;

std::size_t Index(ValueId value) { return static_cast<std::size_t>(value); }

// Operators whose outputs all have the shape of their first operand.
bool KeepsShape(std::string_view name) {
  static const std::set<std::string_view> kNames = {
      "aten::abs", "aten::alias", "aten::celu", "aten::clamp", "aten::clamp_max", "aten::clamp_min", "aten::clone",
      "aten::cos", "aten::cumsum", "aten::elu", "aten::erf", "aten::exp", "aten::flip", "aten::full_like", "aten::gelu",
      "aten::group_norm", "aten::hardtanh", "aten::instance_norm", "aten::layer_norm", "aten::leaky_relu",
      "aten::log", "aten::log_sigmoid", "aten::log_softmax", "aten::masked_fill", "aten::mish", "aten::native_channel_shuffle",
      "aten::channel_shuffle", "aten::neg", "aten::ones_like", "aten::prelu", "aten::reciprocal", "aten::relu6",
      "aten::rms_norm", "aten::roll", "aten::round", "aten::rsqrt", "aten::selu", "aten::silu", "aten::sin",
      "aten::softmax", "aten::softplus", "aten::sqrt", "aten::square", "aten::tanh", "aten::threshold", "aten::to",
      "aten::tril", "aten::triu", "aten::zeros_like"};
  return kNames.contains(name);
}

// Output extent of a window that slides over `in`; `fresh` where that is no number.
Extent Slide(const Extent& in, std::int64_t padding, std::int64_t dilation, std::int64_t kernel, std::int64_t stride,
             const Extent& fresh) {
  constexpr std::int64_t kMost = 1 << 24;  // keeps the arithmetic inside of int64 whatever the file says
  const bool sane = stride > 0 && stride < kMost && padding >= 0 && padding < kMost && dilation > 0 && dilation < kMost &&
                    kernel > 0 && kernel < kMost && in.numerator >= 0 && in.numerator < kMost * kMost;
  if (!in.is_number() || !sane) return fresh;
  const std::int64_t span = in.numerator + 2 * padding - dilation * (kernel - 1) - 1;
  return span < 0 ? fresh : Extent::Number(span / stride + 1);
}

}  // namespace

SymbolicShape ShapeTable::Fresh(ValueId value, std::size_t rank) {
  SymbolicShape shape;
  for (std::size_t axis = 0; axis < rank; ++axis) shape.push_back(Extent::Of(value, static_cast<int>(axis)));
  return shape;
}

const SymbolicShape* ShapeTable::Find(ValueId value) const {
  const auto it = shapes_.find(Root(value));
  return it == shapes_.end() ? nullptr : &it->second;
}

ValueId ShapeTable::Root(ValueId value) const {
  while (const Node* node = graph_.producer(value)) {
    switch (node->kind) {
      case OpKind::kQuantize:
      case OpKind::kQuantizeLike:
      case OpKind::kDequantize:
      case OpKind::kBatchNorm:
      case OpKind::kRelu:
      case OpKind::kClamp:
      case OpKind::kHardswish:
      case OpKind::kHardsigmoid:
      case OpKind::kSigmoid:
        value = node->inputs[0];
        break;
      case OpKind::kOperator:
        if (node->inputs.empty() || !KeepsShape(std::get<graph::OperatorAttributes>(node->attributes).name)) return value;
        value = node->inputs[0];
        break;
      default:
        return value;
    }
  }
  return value;
}

Extent ShapeTable::AxisOf(ValueId value, int axis) const {
  const SymbolicShape* shape = Find(value);
  if (shape != nullptr && axis >= 0 && static_cast<std::size_t>(axis) < shape->size()) {
    return (*shape)[static_cast<std::size_t>(axis)];
  }
  ValueId source = Root(value);
  const Extent extent = Extent::Of(source, axis);
  while (const Node* node = graph_.producer(source)) {  // through what keeps the number of axes
    const auto* call = std::get_if<graph::OperatorAttributes>(&node->attributes);
    const bool keeps = (call != nullptr && call->name == "aten::transpose") || node->kind == OpKind::kPermute ||
                       node->kind == OpKind::kLinear || node->kind == OpKind::kAdd || node->kind == OpKind::kSub ||
                       node->kind == OpKind::kMul || node->kind == OpKind::kDiv;
    if (!keeps) return extent;
    source = Root(node->inputs[0]);
  }
  std::size_t& asked = asked_[graph_.values[Index(source)].name];
  asked = std::max(asked, static_cast<std::size_t>(std::max(axis, 0)) + 1);
  return extent;
}

std::optional<Extent> ShapeTable::LastAxis(ValueId value) const {
  if (const SymbolicShape* shape = Find(value)) return shape->empty() ? std::nullopt : std::optional(shape->back());
  const Node* node = graph_.producer(Root(value));
  if (node == nullptr || node->kind != OpKind::kLinear) return std::nullopt;
  const SymbolicShape* weight = InputShape(*node, 1);
  return weight == nullptr || weight->size() != 2 ? std::nullopt : std::optional(weight->front());
}

void ShapeTable::SetRank(ValueId value, std::size_t rank) {
  const ValueId root = Root(value);
  if (!shapes_.contains(root)) shapes_.emplace(root, Fresh(root, rank));
}

const SymbolicShape* ShapeTable::InputShape(const Node& node, std::size_t i) const {
  return i < node.inputs.size() ? Find(node.inputs[i]) : nullptr;
}

SymbolicShape ShapeTable::Broadcast(const SymbolicShape& a, const SymbolicShape& b, ValueId result) const {
  const SymbolicShape& longer = a.size() >= b.size() ? a : b;
  const SymbolicShape& shorter = a.size() >= b.size() ? b : a;
  SymbolicShape shape = longer;
  const std::size_t offset = longer.size() - shorter.size();
  const Extent one = Extent::Number(1);
  for (std::size_t i = 0; i < shorter.size(); ++i) {
    Extent& extent = shape[offset + i];
    const Extent& other = shorter[i];
    if (extent == other || other == one) continue;
    if (extent == one || (other.is_number() && !extent.is_number())) {
      extent = other;
    } else if (!extent.is_number()) {
      extent = Extent::Of(result, static_cast<int>(offset + i));
    }
  }
  return shape;
}

std::optional<SymbolicShape> ShapeTable::Infer(const Node& node) const {
  const SymbolicShape* x = InputShape(node, 0);
  const ValueId out = node.outputs[0];
  const auto fresh = [&](std::size_t axis) { return Extent::Of(out, static_cast<int>(axis)); };
  switch (node.kind) {
    case OpKind::kConstant: {
      SymbolicShape shape;
      for (const std::int64_t size : std::get<graph::ConstantAttributes>(node.attributes).value.shape()) {
        shape.push_back(Extent::Number(size));
      }
      return shape;
    }
    case OpKind::kConvolution: {
      const auto& conv = std::get<graph::ConvolutionAttributes>(node.attributes);
      const SymbolicShape* weight = InputShape(node, 1);
      if (weight == nullptr || weight->size() < 3 || conv.stride.size() + 2 != weight->size()) return std::nullopt;
      if (x != nullptr && x->size() != weight->size()) return std::nullopt;  // without a batch
      SymbolicShape shape{AxisOf(node.inputs[0], 0),
                          conv.transposed ? (*weight)[1] * Extent::Number(conv.groups) : (*weight)[0]};
      for (std::size_t i = 0; i < conv.stride.size(); ++i) {
        shape.push_back(x != nullptr && !conv.transposed && (*weight)[i + 2].is_number()
                            ? Slide((*x)[i + 2], conv.padding[i], conv.dilation[i], (*weight)[i + 2].numerator,
                                    conv.stride[i], fresh(i + 2))
                            : fresh(i + 2));
      }
      return shape;
    }
    case OpKind::kLinear: {
      const SymbolicShape* weight = InputShape(node, 1);
      if (x == nullptr || x->empty() || weight == nullptr || weight->size() != 2) return std::nullopt;
      SymbolicShape shape = *x;
      shape.back() = (*weight)[0];
      return shape;
    }
    case OpKind::kAdd:
    case OpKind::kSub:
    case OpKind::kMul:
    case OpKind::kDiv:
    case OpKind::kGreater:
    case OpKind::kGreaterEqual:
    case OpKind::kLess:
    case OpKind::kLessEqual: {
      const SymbolicShape* y = InputShape(node, 1);
      if (x == nullptr || y == nullptr) return std::nullopt;
      return Broadcast(*x, *y, out);
    }
    case OpKind::kConcat: {
      for (std::size_t i = 1; x == nullptr && i < node.inputs.size(); ++i) x = InputShape(node, i);
      if (x == nullptr) return std::nullopt;
      SymbolicShape shape = *x;
      const auto axis = AxisFromStart(std::get<graph::AxisAttributes>(node.attributes).axis, shape.size());
      if (!axis) return std::nullopt;
      Extent total = Extent::Number(0);
      for (const ValueId input : node.inputs) {
        const SymbolicShape* item = Find(input);
        std::int64_t sum = 0;
        const bool known = item != nullptr && item->size() == shape.size() && (*item)[*axis].is_number() && total.is_number() &&
                           !__builtin_add_overflow(total.numerator, (*item)[*axis].numerator, &sum);
        total = known ? Extent::Number(sum) : fresh(*axis);
      }
      shape[*axis] = total;
      return shape;
    }
    case OpKind::kMaxPool2d:
    case OpKind::kAvgPool2d: {
      const auto& pool = std::get<graph::PoolAttributes>(node.attributes);
      if (x == nullptr || x->size() != 4) return std::nullopt;
      SymbolicShape shape = *x;
      for (std::size_t i = 0; i < 2; ++i) {
        shape[i + 2] = pool.ceil_mode ? fresh(i + 2)
                                      : Slide((*x)[i + 2], pool.padding[i], pool.dilation.empty() ? 1 : pool.dilation[i],
                                              pool.kernel[i], pool.stride[i], fresh(i + 2));
      }
      return shape;
    }
    case OpKind::kAdaptiveAvgPool2d: {
      const auto& sizes = std::get<graph::SizesAttributes>(node.attributes).sizes;
      if (x == nullptr || x->size() < 3 || sizes.size() != 2) return std::nullopt;
      SymbolicShape shape = *x;
      for (std::size_t i = 0; i < 2; ++i) shape[shape.size() - 2 + i] = Extent::Number(sizes[i]);
      return shape;
    }
    case OpKind::kMean:
    case OpKind::kSum: {
      const auto& reduce = std::get<graph::ReduceAttributes>(node.attributes);
      if (reduce.axes.empty()) return reduce.keep_dims ? std::nullopt : std::optional(SymbolicShape{});
      if (x == nullptr) return std::nullopt;
      std::vector<bool> gone(x->size(), false);
      for (const std::int64_t axis : reduce.axes) {
        const auto at = AxisFromStart(axis, x->size());
        if (!at) return std::nullopt;
        gone[*at] = true;
      }
      SymbolicShape shape;
      for (std::size_t i = 0; i < x->size(); ++i) {
        if (!gone[i]) shape.push_back((*x)[i]);
        if (gone[i] && reduce.keep_dims) shape.push_back(Extent::Number(1));
      }
      return shape;
    }
    case OpKind::kFlatten: {
      if (x == nullptr || x->empty()) return std::nullopt;
      const auto& flatten = std::get<graph::FlattenAttributes>(node.attributes);
      const auto first = AxisFromStart(flatten.start_axis, x->size()), last = AxisFromStart(flatten.end_axis, x->size());
      if (!first || !last || *last < *first) return std::nullopt;
      SymbolicShape shape(x->begin(), x->begin() + static_cast<std::ptrdiff_t>(*first));
      Extent product = Extent::Number(1);
      for (std::size_t i = *first; i <= *last; ++i) product = product * (*x)[i];
      shape.push_back(product);
      shape.insert(shape.end(), x->begin() + static_cast<std::ptrdiff_t>(*last) + 1, x->end());
      return shape;
    }
    case OpKind::kReshape: {
      const auto& sizes = std::get<graph::SizesAttributes>(node.attributes).sizes;
      SymbolicShape shape;
      std::optional<Extent> rest;
      if (x != nullptr) {
        rest = Extent::Number(1);
        for (const Extent& extent : *x) rest = *rest * extent;
      }
      for (std::size_t i = 0; i < sizes.size(); ++i) {
        shape.push_back(sizes[i] > 0 ? Extent::Number(sizes[i])
                                     : sizes[i] == 0 ? AxisOf(node.inputs[0], static_cast<int>(i)) : fresh(i));
        if (sizes[i] >= 0 && rest) rest = Quotient(*rest, shape.back());
      }
      for (std::size_t i = 0; i < sizes.size(); ++i) {
        if (sizes[i] == -1 && rest) shape[i] = *rest;
      }
      return shape;
    }
    case OpKind::kPermute: {
      const auto& order = std::get<graph::SizesAttributes>(node.attributes).sizes;
      if (x == nullptr || order.size() != x->size()) return std::nullopt;
      SymbolicShape shape;
      for (const std::int64_t from : order) {
        const auto axis = AxisFromStart(from, x->size());
        if (!axis) return std::nullopt;
        shape.push_back((*x)[*axis]);
      }
      return shape;
    }
    case OpKind::kOperator:
      return InferOperator(node);
    default:
      return std::nullopt;
  }
}

void ShapeTable::Add(const Node& node) {
  if (node.outputs.empty()) return;
  if (const auto* branch = std::get_if<graph::IfAttributes>(&node.attributes)) {
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      const SymbolicShape* a = Find(branch->then_block.outputs[i]);
      const SymbolicShape* b = Find(branch->else_block.outputs[i]);
      if (a == nullptr || b == nullptr || a->size() != b->size()) continue;
      SymbolicShape shape = *a;
      for (std::size_t axis = 0; axis < shape.size(); ++axis) {
        if (shape[axis] != (*b)[axis]) shape[axis] = Extent::Of(node.outputs[i], static_cast<int>(axis));
      }
      shapes_[node.outputs[i]] = std::move(shape);
    }
    return;
  }
  if (Root(node.outputs[0]) != node.outputs[0]) return;  // looked up there
  std::optional<SymbolicShape> shape = Infer(node);
  if (!shape) return;
  const bool equal_parts = node.outputs.size() == 1;
  for (const ValueId output : node.outputs) {
    SymbolicShape own = *shape;
    if (!equal_parts) {  // a size that names the first output names this one here
      for (Extent& extent : own) {
        for (auto& axis : extent.axes) {
          if (axis.first == node.outputs[0]) axis.first = output;
        }
      }
    }
    shapes_[output] = std::move(own);
  }
}

}  // namespace qatgap::frontends::torchscript
