#include <algorithm>
#include <array>
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

struct Reduction {
  std::vector<std::int64_t> axes;
  bool keep_dims = true;
  bool nothing = false;  // no axes, and the node says that this reduces none
  MaybeShape shape;      // of the result
};

// Axes from an attribute (older opsets) or from input 1; none: every axis.
absl::StatusOr<Reduction> ReductionOf(const Importer& importer, const NodeView& node, const MaybeShape& shape) {
  Reduction reduction{
      .axes = node.Ints("axes"), .keep_dims = node.Int("keepdims", 1) != 0, .nothing = false, .shape = std::nullopt};
  if (node.has(1)) {
    QATGAP_ASSIGN_OR_RETURN(reduction.axes, importer.KnownIntegers(node, 1, "list of axes"));
  }
  if (reduction.axes.empty()) {
    reduction.nothing = node.Int("noop_with_empty_axes", 0) != 0;
    if (!shape)
      return node.Refuse("reduces every axis of an input whose number of axes is not in the model", "name the axes");
    for (std::size_t axis = 0; axis < shape->size(); ++axis) reduction.axes.push_back(static_cast<std::int64_t>(axis));
  }
  if (!shape) return reduction;
  for (std::int64_t& axis : reduction.axes) {
    const auto normal = NormalAxis(axis, shape);
    if (!normal) return node.Broken(absl::StrCat("reduces axis ", axis));
    axis = *normal;
  }
  std::sort(reduction.axes.begin(), reduction.axes.end());
  reduction.axes.erase(std::unique(reduction.axes.begin(), reduction.axes.end()), reduction.axes.end());
  reduction.shape = shape;
  for (std::size_t i = reduction.axes.size(); i-- > 0;) {
    if (reduction.keep_dims) {
      (*reduction.shape)[static_cast<std::size_t>(reduction.axes[i])] = 1;
    } else {
      reduction.shape->erase(reduction.shape->begin() + reduction.axes[i]);
    }
  }
  return reduction;
}

// Sum and mean, and what is a function of a sum.
template <OpKind kKind>
Results SumOrMean(Importer& importer, const NodeView& node) {
  const std::string op = OperatorTypeOf(node);
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  QATGAP_ASSIGN_OR_RETURN(Reduction reduction, ReductionOf(importer, node, x.shape));
  if (reduction.nothing) return One(x);
  ValueId value = x.value;
  if (op == "ReduceL1") value = importer.Call("aten::abs", "", {value}, {TensorArgument{0}});
  if (op == "ReduceSumSquare" || op == "ReduceL2") value = importer.Emit(OpKind::kMul, {value, value});
  value = importer.Emit(kKind, {value}, graph::ReduceAttributes{std::move(reduction.axes), reduction.keep_dims});
  if (op == "ReduceL2") value = importer.Call("aten::sqrt", "", {value}, {TensorArgument{0}});
  return One(Symbol{.value = value, .type = x.type, .shape = std::move(reduction.shape)});
}

Results Extremum(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.MovingOperand(node, 0));
  QATGAP_ASSIGN_OR_RETURN(Reduction reduction, ReductionOf(importer, node, x.shape));
  if (reduction.nothing) return One(node.in(0));
  const ValueId value = importer.Call(OperatorTypeOf(node) == "ReduceMax" ? "aten::amax" : "aten::amin", "", {x.value},
                                      {TensorArgument{0}, std::move(reduction.axes), reduction.keep_dims});
  return One(importer.Moved(x, value, std::move(reduction.shape)));
}

Results LogSumExp(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  QATGAP_ASSIGN_OR_RETURN(Reduction reduction, ReductionOf(importer, node, x.shape));
  if (reduction.nothing) return One(x);
  const ValueId value = importer.Call("aten::logsumexp", "", {x.value},
                                      {TensorArgument{0}, std::move(reduction.axes), reduction.keep_dims});
  return One(Symbol{.value = value, .shape = std::move(reduction.shape)});
}

// The first of equal elements, as LibTorch gives it.
Results ArgExtremum(Importer& importer, const NodeView& node) {
  if (node.Int("select_last_index", 0) != 0)
    return node.Refuse("picks the last of equal elements", "pick the first one");
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.MovingOperand(node, 0));
  const bool keep = node.Int("keepdims", 1) != 0;
  const std::int64_t axis = node.Int("axis", 0);
  MaybeShape shape = x.shape;
  if (shape) {
    const auto normal = NormalAxis(axis, shape);
    if (!normal) return node.Broken(absl::StrCat("searches along axis ", axis));
    if (keep) {
      (*shape)[static_cast<std::size_t>(*normal)] = 1;
    } else {
      shape->erase(shape->begin() + *normal);
    }
  }
  const ValueId value = importer.Call(OperatorTypeOf(node) == "ArgMax" ? "aten::argmax" : "aten::argmin", "", {x.value},
                                      {TensorArgument{0}, axis, keep});
  return One(Symbol{.value = value, .type = element::kInt64, .shape = std::move(shape)});
}

Results TopK(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  QATGAP_ASSIGN_OR_RETURN(const std::vector<std::int64_t> count, importer.KnownIntegers(node, 1, "number of elements"));
  if (count.size() != 1 || count[0] < 1) return node.Broken("takes a number of elements that is none");
  const std::int64_t axis = node.Int("axis", -1);
  const std::vector<ValueId> parts = importer.CallMany(
      "aten::topk", "", {x.value},
      {TensorArgument{0}, count[0], axis, node.Int("largest", 1) != 0, node.Int("sorted", 1) != 0}, 2);
  MaybeShape shape = x.shape;
  if (const auto normal = NormalAxis(axis, shape); shape && normal)
    (*shape)[static_cast<std::size_t>(*normal)] = count[0];
  std::vector<Slot> results = One(Symbol{.value = parts[0], .shape = shape});
  results.emplace_back(Symbol{.value = parts[1], .type = element::kInt64, .shape = shape});
  return results;
}

constexpr std::array<std::pair<std::string_view, Importer::Handler>, 11> kOperators = {{
    {"ReduceMean", SumOrMean<OpKind::kMean>},
    {"ReduceSum", SumOrMean<OpKind::kSum>},
    {"ReduceL1", SumOrMean<OpKind::kSum>},
    {"ReduceL2", SumOrMean<OpKind::kSum>},
    {"ReduceSumSquare", SumOrMean<OpKind::kSum>},
    {"ReduceMax", Extremum},
    {"ReduceMin", Extremum},
    {"ReduceLogSumExp", LogSumExp},
    {"ArgMax", ArgExtremum},
    {"ArgMin", ArgExtremum},
    {"TopK", TopK},
}};

}  // namespace

Importer::Handler FindReductionOperator(std::string_view op_type) {
  const auto it =
      std::find_if(kOperators.begin(), kOperators.end(), [&](const auto& entry) { return entry.first == op_type; });
  return it == kOperators.end() ? nullptr : it->second;
}

}  // namespace qatgap::frontends::onnx
