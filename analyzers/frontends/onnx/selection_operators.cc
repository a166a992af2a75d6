// Operators that pick or join parts of tensors, or pass them on.
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <array>
#include <limits>
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

// Gather(data, indices): by one number, a list of numbers, or a table of rows.
Results Gather(Importer& importer, const NodeView& node) {
  const std::int64_t axis = node.Int("axis", 0);
  const auto* index_literal = std::get_if<Literal>(&node.in(1));
  if (std::holds_alternative<Extents>(node.in(0)) && index_literal != nullptr && (axis == 0 || axis == -1)) {
    const Extents& from = std::get<Extents>(node.in(0));
    Extents picked{.items = {}, .scalar = index_literal->value.shape().empty()};
    const auto indices = Integers(*index_literal);
    if (!indices) return node.Broken("has an index that is no integer");
    for (std::int64_t index : *indices) {
      if (index < 0) index += static_cast<std::int64_t>(from.items.size());
      if (index < 0 || index >= static_cast<std::int64_t>(from.items.size()))
        return node.Broken(absl::StrCat("picks element ", index, " of a shape"));
      picked.items.push_back(from.items[static_cast<std::size_t>(index)]);
    }
    return One(std::move(picked));
  }
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.MovingOperand(node, 0));
  QATGAP_ASSIGN_OR_RETURN(const Symbol index, importer.Operand(node, 1));
  const auto normal = NormalAxis(axis, x.shape);
  const auto index_rank = RankOf(index.shape);
  if (!normal || !index_rank)
    return node.Refuse("picks along an axis, or by indices, whose number is not in the model",
                       "run onnx.shape_inference.infer_shapes first");
  MaybeShape shape = x.shape;
  if (shape) {
    shape->erase(shape->begin() + *normal);
    shape->insert(shape->begin() + *normal, index.shape->begin(), index.shape->end());
  }
  if (const auto indices = index_literal == nullptr ? std::nullopt : Integers(*index_literal);
      indices && *index_rank <= 1) {
    std::vector<std::int64_t> positive = *indices;
    const std::int64_t extent = x.shape ? (*x.shape)[static_cast<std::size_t>(*normal)] : -1;
    for (std::int64_t& i : positive) {
      if (extent >= 0 && (i < -extent || i >= extent))
        return node.Broken(absl::StrCat("picks element ", i, " of ", extent));
      if (i < 0 && extent >= 0) i += extent;
      if (i < 0 && *index_rank == 1)
        return node.Refuse("picks elements counted from the end of an axis of open size", "count from the front");
    }
    if (*index_rank == 0) {
      return One(
          importer.Moved(x, importer.Call("aten::select", "int", {x.value}, {TensorArgument{0}, *normal, positive[0]}),
                         std::move(shape)));
    }
    const ValueId list = importer.Constant(graph::Tensor::Of<std::int64_t>(*index.shape, positive));
    const ValueId value =
        importer.Call("aten::index_select", "", {x.value, list}, {TensorArgument{0}, *normal, TensorArgument{1}});
    return One(importer.Moved(x, value, std::move(shape)));
  }
  ValueId value = -1;
  if (*index_rank == 1) {
    value = importer.Call("aten::index_select", "", {x.value, index.value},
                          {TensorArgument{0}, *normal, TensorArgument{1}});
  } else if (*normal == 0 && RankOf(x.shape) == 2) {
    value = importer.Call("aten::embedding", "", {x.value, index.value}, {TensorArgument{0}, TensorArgument{1}});
  } else {
    return node.Refuse(absl::StrCat("picks by indices of ", *index_rank, " axes"),
                       "pick by a list of indices, or rows of a table");
  }
  return One(importer.Moved(x, value, std::move(shape)));
}

Results GatherElements(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.MovingOperand(node, 0));
  QATGAP_ASSIGN_OR_RETURN(const Symbol index, importer.Operand(node, 1));
  const ValueId value = importer.Call("aten::gather", "", {x.value, index.value},
                                      {TensorArgument{0}, node.Int("axis", 0), TensorArgument{1}});
  return One(importer.Moved(x, value, index.shape));
}

std::optional<Extents> JoinedExtents(const NodeView& node) {
  Extents joined;
  bool open = false;
  for (std::size_t i = 0; i < node.size(); ++i) {
    const auto part = AsExtents(node.in(i));
    if (!part || part->scalar) return std::nullopt;
    open = open || std::holds_alternative<Extents>(node.in(i));
    joined.items.insert(joined.items.end(), part->items.begin(), part->items.end());
  }
  return joined.items.size() <= 64 && (open || !joined.items.empty()) ? std::optional(joined) : std::nullopt;
}

Results Concat(Importer& importer, const NodeView& node) {
  if (auto joined = JoinedExtents(node)) return One(*std::move(joined));
  if (node.size() == 0) return node.Broken("joins nothing");
  std::vector<ValueId> parts;
  QATGAP_ASSIGN_OR_RETURN(const Symbol first, importer.MovingOperand(node, 0));
  MaybeShape shape = first.shape;
  const std::int64_t axis = node.Int("axis", 0);
  const auto normal = NormalAxis(axis, shape);
  std::int64_t extent = 0;
  for (std::size_t i = 0; i < node.size(); ++i) {
    Symbol part = first;
    if (i > 0) {
      QATGAP_ASSIGN_OR_RETURN(part, importer.MovingOperand(node, i));
    }
    if ((part.codes == nullptr) != (first.codes == nullptr) ||
        (part.codes != nullptr && !(*part.codes == *first.codes))) {
      return node.Refuse("joins codes of different grids", "dequantize them first");
    }
    const bool known = part.shape && normal && static_cast<std::size_t>(*normal) < part.shape->size();
    const std::int64_t own = known ? (*part.shape)[static_cast<std::size_t>(*normal)] : -1;
    extent = own < 0 || extent < 0 ? -1 : extent + own;
    parts.push_back(part.value);
  }
  if (shape && normal) (*shape)[static_cast<std::size_t>(*normal)] = extent;
  const ValueId value = importer.Emit(OpKind::kConcat, std::move(parts), graph::AxisAttributes{axis});
  return One(importer.Moved(first, value, normal ? std::move(shape) : std::nullopt));
}

Results Split(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.MovingOperand(node, 0));
  std::vector<std::int64_t> sizes = node.Ints("split");
  if (node.has(1)) {
    QATGAP_ASSIGN_OR_RETURN(sizes, importer.KnownIntegers(node, 1, "split"));
  }
  const std::int64_t axis = node.Int("axis", 0);
  const int count = node.proto().output_size();
  if (count < 1 || (!sizes.empty() && sizes.size() != static_cast<std::size_t>(count)))
    return node.Broken("has as many parts as outputs only");
  std::vector<ValueId> parts;
  if (sizes.empty()) {
    parts = importer.CallMany("aten::chunk", "", {x.value}, {TensorArgument{0}, std::int64_t{count}, axis}, count);
  } else {
    parts = importer.CallMany("aten::split_with_sizes", "", {x.value}, {TensorArgument{0}, sizes, axis}, count);
  }
  std::vector<Slot> results;
  const auto normal = NormalAxis(axis, x.shape);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    MaybeShape shape = normal ? x.shape : std::nullopt;
    if (shape) {
      std::int64_t& extent = (*shape)[static_cast<std::size_t>(*normal)];
      const std::int64_t chunk = extent < 0 ? -1 : (extent + count - 1) / count;
      extent = !sizes.empty() ? sizes[i]
               : chunk < 0    ? -1
                              : std::clamp<std::int64_t>(extent - chunk * static_cast<std::int64_t>(i), 0, chunk);
    }
    results.push_back(importer.Moved(x, parts[i], std::move(shape)));
  }
  return results;
}

// One axis of a Slice with a positive step.
struct Cut {
  std::int64_t axis, start, end, step;
};

absl::StatusOr<std::vector<Cut>> CutsOf(const Importer& importer, const NodeView& node) {
  std::array<std::vector<std::int64_t>, 4> lists = {node.Ints("starts"), node.Ints("ends"), node.Ints("axes"), {}};
  for (std::size_t i = 1; i <= 4; ++i) {
    if (!node.has(i)) continue;
    QATGAP_ASSIGN_OR_RETURN(lists[i - 1], importer.KnownIntegers(node, i, "range"));
  }
  auto& [starts, ends, axes, steps] = lists;
  if (steps.empty()) steps.assign(starts.size(), 1);
  for (std::size_t i = 0; axes.size() < starts.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size() ||
      starts.size() > 8) {
    return node.Broken("has lists of different lengths");
  }
  std::vector<Cut> cuts;
  for (std::size_t i = 0; i < starts.size(); ++i) cuts.push_back({axes[i], starts[i], ends[i], steps[i]});
  return cuts;
}

Results Slice(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const std::vector<Cut> cuts, CutsOf(importer, node));
  const auto place = [](std::int64_t at, std::int64_t extent) {
    return std::clamp<std::int64_t>(at < 0 ? std::max(at, -extent) + extent : at, 0, extent);
  };
  if (const auto extents = AsExtents(node.in(0)); extents && !extents->scalar) {
    if (cuts.size() != 1 || cuts[0].step != 1 || (cuts[0].axis != 0 && cuts[0].axis != -1))
      return node.Refuse("slices a shape with steps", "export the model with fixed shapes");
    const auto count = static_cast<std::int64_t>(extents->items.size());
    const std::int64_t start = place(cuts[0].start, count), end = std::max(start, place(cuts[0].end, count));
    return One(Extents{.items = {extents->items.begin() + start, extents->items.begin() + end}, .scalar = false});
  }
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.MovingOperand(node, 0));
  ValueId value = x.value;
  MaybeShape shape = x.shape;
  for (const Cut& cut : cuts) {
    const auto normal = NormalAxis(cut.axis, shape);
    if (!normal && shape) return node.Broken(absl::StrCat("slices axis ", cut.axis));
    std::int64_t* extent = shape ? &(*shape)[static_cast<std::size_t>(*normal)] : nullptr;
    if (cut.step == -1 && cut.start == -1 &&
        cut.end <= -std::numeric_limits<std::int32_t>::max()) {  // the whole axis, reversed
      value = importer.Call("aten::flip", "", {value}, {TensorArgument{0}, std::vector<std::int64_t>{cut.axis}});
      continue;
    }
    if (cut.step < 1)
      return node.Refuse(absl::StrCat("slices backwards by ", -cut.step), "slice forwards, or reverse whole axes");
    value =
        importer.Call("aten::slice", "Tensor", {value}, {TensorArgument{0}, cut.axis, cut.start, cut.end, cut.step});
    if (extent == nullptr) continue;
    if (*extent < 0) {
      const bool whole = cut.start == 0 && cut.step == 1 && cut.end >= std::numeric_limits<std::int32_t>::max();
      if (!whole) *extent = kUnknown;
    } else {
      const std::int64_t length = std::max<std::int64_t>(0, place(cut.end, *extent) - place(cut.start, *extent));
      *extent = length / cut.step + (length % cut.step != 0 ? 1 : 0);
    }
  }
  return One(importer.Moved(x, value, std::move(shape)));
}

// Numbers of LibTorch's types.
std::optional<std::int64_t> TorchType(int type) {
  switch (type) {
    case element::kInt32:
      return 3;
    case element::kInt64:
      return 4;
    case element::kFloat:
      return 6;
    case element::kBool:
      return 11;
    default:
      return std::nullopt;
  }
}

Results Cast(Importer& importer, const NodeView& node) {
  const auto to = static_cast<int>(node.Int("to", element::kFloat));
  if (std::holds_alternative<Extents>(node.in(0)) && (to == element::kInt64 || to == element::kInt32))
    return One(node.in(0));
  if (const auto* literal = std::get_if<Literal>(&node.in(0)); literal != nullptr && literal->type == to)
    return One(*literal);
  if (const auto* literal = std::get_if<Literal>(&node.in(0)); literal != nullptr && IsReal(to)) {
    if (IsReal(literal->type)) return One(*literal);
    const auto integers = Integers(*literal);
    const std::vector<float> reals(integers->begin(), integers->end());
    return One(Literal{.type = element::kFloat, .value = graph::Tensor::Of<float>(literal->value.shape(), reals)});
  }
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  if (x.type == to || (to == element::kDouble && IsReal(x.type)))
    return One(Symbol{.value = x.value, .type = x.type, .shape = x.shape});
  const auto type = TorchType(to);
  if (!type) return node.Refuse(absl::StrCat("converts to ", ElementName(to)), "keep the model in float32");
  return One(Symbol{.value = importer.Call("aten::to", "dtype", {x.value}, {TensorArgument{0}, *type}),
                    .type = to,
                    .shape = x.shape});
}

Results Identity(Importer&, const NodeView& node) {
  if (!node.has(0)) return node.Broken("has no input");
  return One(node.in(0));
}

Results Dropout(Importer&, const NodeView& node) {
  const auto* training = std::get_if<Literal>(&node.in(2));
  const auto flag = training == nullptr ? std::nullopt : Integers(*training);
  if (node.has(2) && (!flag || flag->size() != 1 || (*flag)[0] != 0))
    return node.Refuse("drops values", "call model.eval() before the export");
  return One(node.in(0));
}

Results Einsum(Importer& importer, const NodeView& node) {
  std::vector<ValueId> inputs;
  graph::TensorListArgument list;
  for (std::size_t i = 0; i < node.size(); ++i) {
    QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, i));
    inputs.push_back(x.value);
    list.inputs.push_back(static_cast<int>(i));
  }
  return One(Symbol{
      .value = importer.Call("aten::einsum", "", std::move(inputs), {node.String("equation", ""), std::move(list)})});
}

constexpr std::array<std::pair<std::string_view, Importer::Handler>, 9> kOperators = {{
    {"Gather", Gather},
    {"GatherElements", GatherElements},
    {"Concat", Concat},
    {"Split", Split},
    {"Slice", Slice},
    {"Cast", Cast},
    {"Identity", Identity},
    {"Dropout", Dropout},
    {"Einsum", Einsum},
}};

}  // namespace

Importer::Handler FindSelectionOperator(std::string_view op_type) {
  const auto it =
      std::find_if(kOperators.begin(), kOperators.end(), [&](const auto& entry) { return entry.first == op_type; });
  return it == kOperators.end() ? nullptr : it->second;
}

}  // namespace qatgap::frontends::onnx
