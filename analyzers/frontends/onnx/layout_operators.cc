// Operators that give the same elements another shape or order.
#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/onnx/importer.h"
#include "analyzers/frontends/onnx/shape_arithmetic.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::frontends::onnx {
namespace {

using graph::OpKind;
using graph::TensorArgument;
using graph::ValueId;

// Axes from an attribute (older opsets) or from input `i`; empty where neither is given.
absl::StatusOr<std::vector<std::int64_t>> AxesOf(const Importer& importer, const NodeView& node, std::size_t i) {
  if (!node.has(i)) return node.Ints("axes");
  return importer.KnownIntegers(node, i, "list of axes");
}

// Sizes of a reshape: 0 keeps an axis, -1 infers one. What was the batch when the model was exported stays open.
absl::StatusOr<std::vector<std::int64_t>> ReshapeSizes(const NodeView& node, const Symbol& x, std::int64_t batch) {
  const auto extents = AsExtents(node.in(1));
  if (!extents)
    return node.Refuse("its shape is computed from values", "export the model with fixed shapes beyond the batch axis");
  const auto own = [&](std::size_t axis) { return x.shape && axis < x.shape->size() ? (*x.shape)[axis] : kUnknown; };
  std::vector<std::int64_t> sizes;
  for (std::size_t i = 0; i < extents->items.size(); ++i) {
    if (const auto* number = std::get_if<std::int64_t>(&extents->items[i])) {
      if (*number < -1 || (*number == 0 && node.Int("allowzero", 0) != 0))
        return node.Broken(absl::StrCat("has the size ", *number));
      if (*number == 0 && x.shape && i >= x.shape->size())
        return node.Broken("keeps an axis that its input does not have");
      const bool is_batch = batch > 0 && *number > 0 && BatchFactor(own(i)) > 0 && *number % batch == 0 &&
                            BatchFactor(own(i)) == *number / batch;
      sizes.push_back(is_batch ? 0 : *number);
      continue;
    }
    const Extent& extent = std::get<Extent>(extents->items[i]);
    const bool same =
        (extent.factor > 0 && extent.factor == BatchFactor(own(i))) ||
        (extent.value == x.value && static_cast<std::size_t>(extent.axis) == i && extent.factor == BatchFactor(own(i)));
    sizes.push_back(same ? 0 : -1);
  }
  // All sizes are numbers, and the batch is in one of them: the one at its axis.
  if (batch > 0 && std::none_of(sizes.begin(), sizes.end(), [](std::int64_t size) { return size < 1; })) {
    for (std::size_t i = 0; i < std::min<std::size_t>(2, sizes.size()); ++i) {
      if (BatchFactor(own(i)) == 0 || sizes[i] % batch != 0) continue;
      sizes[i] = -1;
      break;
    }
  }
  const auto inferred = [&] { return std::count(sizes.begin(), sizes.end(), -1); };
  const auto* first = sizes.empty() ? nullptr : std::get_if<Extent>(&extents->items[0]);
  if (inferred() > 1 && first != nullptr && first->factor == 1 && own(0) == kUnknown)
    sizes[0] = 0;  // taken for the batch
  if (inferred() > 1) {
    return node.Refuse("has two sizes that depend on the input's shape",
                       "export the model with fixed shapes beyond the batch axis");
  }
  return sizes;
}

MaybeShape ReshapedShape(const MaybeShape& from, const std::vector<std::int64_t>& sizes) {
  graph::Shape shape(sizes.begin(), sizes.end());
  std::optional<std::size_t> inferred;
  graph::Shape others;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0) shape[i] = from ? (*from)[i] : kUnknown;
    if (sizes[i] == -1) {
      inferred = i;
    } else {
      others.push_back(shape[i]);
    }
  }
  if (!from || !inferred) return shape;
  const std::int64_t in = ProductOf(*from), out = ProductOf(others);
  const std::int64_t in_factor = BatchFactor(in), out_factor = BatchFactor(out);
  const std::int64_t dividend = in_factor > 0 ? in_factor : in, divisor = out_factor > 0 ? out_factor : out;
  if (in == kUnknown || divisor < 1 || dividend % divisor != 0 || (in_factor == 0 && out_factor > 0)) return shape;
  shape[*inferred] = in_factor > 0 && out_factor == 0 ? BatchTimes(dividend / divisor) : dividend / divisor;
  return shape;
}

absl::StatusOr<Literal> ReshapedLiteral(const NodeView& node, const Literal& literal, std::vector<std::int64_t> sizes) {
  std::int64_t known = 1;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 0 && i < literal.value.shape().size()) sizes[i] = literal.value.dim(i);
    if (sizes[i] >= 0 && __builtin_mul_overflow(known, sizes[i], &known))
      return node.Broken("has sizes beyond 64 bits");
  }
  for (std::int64_t& size : sizes) {
    if (size == -1) size = known == 0 ? 0 : literal.value.elements() / known;
  }
  if (sizes.size() > 8 || graph::ElementCount(sizes) != literal.value.elements()) {
    return node.Broken(
        absl::StrCat("gives ", literal.value.elements(), " elements the shape ", graph::ToString(sizes)));
  }
  return Literal{.type = literal.type, .value = Reshaped(literal.value, std::move(sizes)), .range = literal.range};
}

Results Reshape(Importer& importer, const NodeView& node) {
  if (const auto* literal = std::get_if<Literal>(&node.in(0))) {
    QATGAP_ASSIGN_OR_RETURN(std::vector<std::int64_t> sizes,
                            ReshapeSizes(node, Symbol{.shape = literal->value.shape()}, kUnknown));
    QATGAP_ASSIGN_OR_RETURN(Literal result, ReshapedLiteral(node, *literal, std::move(sizes)));
    return One(std::move(result));
  }
  if (std::holds_alternative<Extents>(node.in(0))) {  // a list of sizes stays one; a single number may become a scalar
    Extents extents = std::get<Extents>(node.in(0));
    const auto sizes = AsExtents(node.in(1));
    if (!sizes || sizes->items.size() > 1)
      return node.Refuse("reshapes a shape", "export the model with fixed shapes beyond the batch axis");
    extents.scalar = sizes->items.empty();
    return One(std::move(extents));
  }
  const auto* original = std::get_if<Symbol>(&node.in(0));
  if (original == nullptr) return node.Broken("has no input");
  QATGAP_ASSIGN_OR_RETURN(std::vector<std::int64_t> sizes, ReshapeSizes(node, *original, importer.batch()));
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.MovingOperand(node, 0));
  MaybeShape shape = ReshapedShape(x.shape, sizes);
  return One(importer.Moved(x, importer.Emit(OpKind::kReshape, {x.value}, graph::SizesAttributes{std::move(sizes)}),
                            std::move(shape)));
}

// Always two axes: those in front of `axis`, and the others.
Results Flatten(Importer& importer, const NodeView& node) {
  const std::int64_t axis = node.Int("axis", 1);
  if (const auto* literal = std::get_if<Literal>(&node.in(0))) {
    const auto rank = static_cast<std::int64_t>(literal->value.shape().size());
    if (axis < -rank || axis > rank) return node.Broken(absl::StrCat("flattens at axis ", axis));
    const graph::Shape& shape = literal->value.shape();
    const std::int64_t front = graph::ElementCount({shape.begin(), shape.begin() + (axis < 0 ? axis + rank : axis)});
    QATGAP_ASSIGN_OR_RETURN(Literal result, ReshapedLiteral(node, *literal, {front, -1}));
    return One(std::move(result));
  }
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.MovingOperand(node, 0));
  std::int64_t at = axis;
  if (axis < 0) {
    const auto normal = NormalAxis(axis, x.shape);
    if (!normal) return node.Refuse("flattens at an axis counted from the end", "give the axis counted from the front");
    at = *normal;
  }
  if (at > 8) return node.Broken(absl::StrCat("flattens at axis ", axis));
  graph::Shape shape{kUnknown, kUnknown};
  if (x.shape && at <= static_cast<std::int64_t>(x.shape->size())) {
    shape = {ProductOf({x.shape->begin(), x.shape->begin() + at}), ProductOf({x.shape->begin() + at, x.shape->end()})};
  }
  ValueId value = x.value;
  const bool no_axis_behind = x.shape && at == static_cast<std::int64_t>(x.shape->size());
  if (at == 0) {
    value = importer.Emit(OpKind::kReshape, {value}, graph::SizesAttributes{{1, -1}});
  } else if (no_axis_behind) {
    value = importer.Emit(OpKind::kReshape, {value}, graph::SizesAttributes{{-1, 1}});
  } else {
    value = importer.Emit(OpKind::kFlatten, {value}, graph::FlattenAttributes{at, -1});
    if (at > 1) value = importer.Emit(OpKind::kFlatten, {value}, graph::FlattenAttributes{0, at - 1});
  }
  return One(importer.Moved(x, value, std::move(shape)));
}

Results Transpose(Importer& importer, const NodeView& node) {
  std::vector<std::int64_t> order = node.Ints("perm");
  if (order.empty()) {
    const auto rank = RankOf(ShapeOf(node.in(0)));
    if (!rank)
      return node.Refuse("reverses the axes of an input whose number of axes is not in the model", "give perm");
    for (std::size_t i = *rank; i-- > 0;) order.push_back(static_cast<std::int64_t>(i));
  }
  std::vector<std::int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (sorted[i] != static_cast<std::int64_t>(i)) return node.Broken("has a perm that is no permutation");
  }
  const MaybeShape from = ShapeOf(node.in(0));
  if (from && from->size() != order.size()) return node.Broken("has a perm for another number of axes");
  if (const auto* literal = std::get_if<Literal>(&node.in(0))) {
    return One(Literal{.type = literal->type, .value = Permuted(literal->value, order), .range = literal->range});
  }
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.MovingOperand(node, 0));
  MaybeShape shape = x.shape;
  for (std::size_t i = 0; shape && i < order.size(); ++i) (*shape)[i] = (*x.shape)[static_cast<std::size_t>(order[i])];
  const ValueId value = importer.IsConstant(x.value) && x.shape
                            ? importer.PermuteConstant(x.value, order)
                            : importer.Emit(OpKind::kPermute, {x.value}, graph::SizesAttributes{order});
  return One(importer.Moved(x, value, std::move(shape)));
}

Results Unsqueeze(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(std::vector<std::int64_t> axes, AxesOf(importer, node, 1));
  if (std::holds_alternative<Extents>(node.in(0))) {
    Extents extents = std::get<Extents>(node.in(0));
    if (!extents.scalar || axes.size() != 1)
      return node.Refuse("adds axes to a list of sizes", "export the model with fixed shapes beyond the batch axis");
    extents.scalar = false;
    return One(std::move(extents));
  }
  const auto rank = RankOf(ShapeOf(node.in(0)));
  if (axes.empty() || axes.size() > 8) return node.Broken("names no axes, or too many");
  if (!rank && axes.size() > 1 && *std::min_element(axes.begin(), axes.end()) < 0) {
    return node.Refuse("adds axes counted from the end", "give the axes counted from the front");
  }
  if (rank) {
    const auto total = static_cast<std::int64_t>(*rank + axes.size());
    for (std::int64_t& axis : axes) {
      if (axis < -total || axis >= total) return node.Broken(absl::StrCat("adds axis ", axis));
      if (axis < 0) axis += total;
    }
  }
  std::sort(axes.begin(), axes.end());
  if (const auto* literal = std::get_if<Literal>(&node.in(0))) {
    graph::Shape shape = literal->value.shape();
    for (const std::int64_t axis : axes) {
      if (axis > static_cast<std::int64_t>(shape.size())) return node.Broken(absl::StrCat("adds axis ", axis));
      shape.insert(shape.begin() + axis, 1);
    }
    return One(
        Literal{.type = literal->type, .value = Reshaped(literal->value, std::move(shape)), .range = literal->range});
  }
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.MovingOperand(node, 0));
  ValueId value = x.value;
  MaybeShape shape = x.shape;
  for (const std::int64_t axis : axes) {
    value = importer.Call("aten::unsqueeze", "", {value}, {TensorArgument{0}, axis});
    if (!shape) continue;
    if (axis > static_cast<std::int64_t>(shape->size())) return node.Broken(absl::StrCat("adds axis ", axis));
    shape->insert(shape->begin() + axis, 1);
  }
  return One(importer.Moved(x, value, std::move(shape)));
}

Results Squeeze(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(std::vector<std::int64_t> axes, AxesOf(importer, node, 1));
  if (std::holds_alternative<Extents>(node.in(0))) {
    Extents extents = std::get<Extents>(node.in(0));
    if (extents.items.size() != 1) return node.Broken("removes an axis that is not 1");
    extents.scalar = true;
    return One(std::move(extents));
  }
  MaybeShape shape = ShapeOf(node.in(0));
  if (axes.empty()) {
    const auto open = [](std::int64_t extent) { return extent < 0; };
    if (!shape || std::any_of(shape->begin(), shape->end(), open)) {
      return node.Refuse("removes every axis of 1, the batch too where it is one", "name the axes");
    }
    for (std::size_t i = 0; i < shape->size(); ++i) {
      if ((*shape)[i] == 1) axes.push_back(static_cast<std::int64_t>(i));
    }
  }
  if (shape) {
    for (std::int64_t& axis : axes) {
      const auto normal = NormalAxis(axis, shape);
      if (!normal) return node.Broken(absl::StrCat("removes axis ", axis));
      axis = *normal;
    }
    std::sort(axes.begin(), axes.end());
    axes.erase(std::unique(axes.begin(), axes.end()), axes.end());
    for (std::size_t i = axes.size(); i-- > 0;) {
      if ((*shape)[static_cast<std::size_t>(axes[i])] > 1) return node.Broken("removes an axis that is not 1");
      shape->erase(shape->begin() + axes[i]);
    }
  }
  if (const auto* literal = std::get_if<Literal>(&node.in(0))) {
    return One(
        Literal{.type = literal->type, .value = Reshaped(literal->value, *std::move(shape)), .range = literal->range});
  }
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.MovingOperand(node, 0));
  const ValueId value = importer.Call("aten::squeeze", "dims", {x.value}, {TensorArgument{0}, std::move(axes)});
  return One(importer.Moved(x, value, std::move(shape)));
}

constexpr std::array<std::pair<std::string_view, Importer::Handler>, 5> kOperators = {{
    {"Reshape", Reshape},
    {"Flatten", Flatten},
    {"Transpose", Transpose},
    {"Unsqueeze", Unsqueeze},
    {"Squeeze", Squeeze},
}};

}  // namespace

Importer::Handler FindLayoutOperator(std::string_view op_type) {
  const auto it =
      std::find_if(kOperators.begin(), kOperators.end(), [&](const auto& entry) { return entry.first == op_type; });
  return it == kOperators.end() ? nullptr : it->second;
}

}  // namespace qatgap::frontends::onnx
