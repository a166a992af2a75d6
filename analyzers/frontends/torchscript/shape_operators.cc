// Operators that move elements or pool them.
#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/torchscript/evaluator.h"

namespace qatgap::frontends::torchscript {
namespace {

using graph::OpKind;
using Inputs = Evaluator::Inputs;

std::vector<std::int64_t> PerAxis(std::vector<std::int64_t> values, std::size_t axes) {
  if (values.size() == 1) values.resize(axes, values[0]);
  return values;
}

// cat(tensors, dim); of quantized tensors the output keeps the first one's qparams (PyTorch 2.13).
Slot Concat(Evaluator& e, const Inputs& in) {
  const std::vector<Slot> items = e.Items(in[0], "tensors");
  if (items.empty()) e.Refuse("a cat of nothing", "export the model again");
  std::vector<graph::ValueId> operands;
  for (const Slot& item : items) operands.push_back(e.Real(item));
  return e.Like(e.Emit(OpKind::kConcat, std::move(operands), graph::AxisAttributes{e.Int(in[1], "dim")}), items[0]);
}

Slot MaxPool2d(Evaluator& e, const Inputs& in) {
  graph::PoolAttributes pool{.kernel = PerAxis(e.Ints(in[1], "kernel"), 2),
                             .stride = PerAxis(e.Ints(in[2], "stride"), 2),
                             .padding = PerAxis(e.Ints(in[3], "padding"), 2),
                             .dilation = PerAxis(e.Ints(in[4], "dilation"), 2),
                             .ceil_mode = e.Concrete(in[5], "ceil_mode").toBool(),
                             .count_include_pad = true,
                             .divisor_override = std::nullopt};
  if (pool.stride.empty()) pool.stride = pool.kernel;
  return e.EmitLike(OpKind::kMaxPool2d, in[0], std::move(pool));
}

Slot AvgPool2d(Evaluator& e, const Inputs& in) {
  graph::PoolAttributes pool{.kernel = PerAxis(e.Ints(in[1], "kernel"), 2),
                             .stride = PerAxis(e.Ints(in[2], "stride"), 2),
                             .padding = PerAxis(e.Ints(in[3], "padding"), 2),
                             .dilation = {},
                             .ceil_mode = e.Concrete(in[4], "ceil_mode").toBool(),
                             .count_include_pad = e.Concrete(in[5], "count_include_pad").toBool(),
                             .divisor_override = std::nullopt};
  if (pool.stride.empty()) pool.stride = pool.kernel;
  if (!IsNone(in[6])) pool.divisor_override = e.Int(in[6], "divisor");
  return e.EmitLike(OpKind::kAvgPool2d, in[0], std::move(pool));
}

// Output extents; one that is left out is the input's own, which only a number can say here.
Slot AdaptiveAvgPool2d(Evaluator& e, const Inputs& in) {
  return e.EmitLike(OpKind::kAdaptiveAvgPool2d, in[0],
                    graph::SizesAttributes{PerAxis(e.Ints(in[1], "output size"), 2)});
}

// mean(x, dtype) or mean(x, dims, keepdim, dtype); sum likewise.
template <OpKind kKind>
Slot Reduce(Evaluator& e, const Inputs& in) {
  graph::ReduceAttributes reduce;
  if (in.size() > 2) {
    if (!IsNone(in[1])) reduce.axes = e.Ints(in[1], "dims");
    reduce.keep_dims = e.Concrete(in[2], "keepdim").toBool();
  }
  return e.EmitLike(kKind, in[0], std::move(reduce));
}

Slot Flatten(Evaluator& e, const Inputs& in) {
  return e.EmitLike(OpKind::kFlatten, in[0], graph::FlattenAttributes{e.Int(in[1], "start"), e.Int(in[2], "end")});
}

// One step of a reshape on reals.
graph::ValueId Apply(Evaluator& e, graph::ValueId x, const ReshapeStep& step) {
  if (step.from > 1) {
    x = e.Emit(OpKind::kFlatten, {x}, graph::FlattenAttributes{step.axis, step.axis + step.from - 1});
  }
  const std::int64_t axis = step.axis;
  if (step.from == 0) {  // extents of 1 at the end
    for (std::size_t i = 0; i < step.to.size(); ++i) {
      x = e.EmitOperator("aten::unsqueeze", "", {x}, {graph::TensorArgument{0}, axis});
    }
  } else if (step.to.empty()) {
    x = e.EmitOperator("aten::squeeze", "dim", {x}, {graph::TensorArgument{0}, axis});
  } else if (step.to.size() > 1) {
    x = e.EmitOperator("aten::unflatten", "int", {x}, {graph::TensorArgument{0}, axis, step.to});
  }
  return x;
}

[[noreturn]] void RefuseShape(const Evaluator& e) {
  e.Refuse(absl::StrCat("the shape of ", e.source_op(), " depends on the input"), "make it a constant of the model");
}

// Sizes as kReshape wants them: 0 keeps the input's extent of that axis, -1 is what remains. Of a tensor of unknown shape
// the first axis is taken for the batch, as any first extent is. nullopt when more than one size is unknown.
std::optional<std::vector<std::int64_t>> PlainSizes(const Evaluator& e, graph::ValueId x, const SymbolicShape& target,
                                                    const std::vector<bool>& remains, ShapeTable& shapes) {
  std::vector<std::int64_t> sizes;
  int unknown = 0;
  for (std::size_t axis = 0; axis < target.size(); ++axis) {
    const Extent& extent = target[axis];
    const bool batch = axis == 0 && shapes.Find(x) == nullptr && extent.denominator == 1 && extent.numerator == 1 && extent.axes.size() == 1 &&
                       extent.axes[0].second == 0;
    if (remains[axis]) {
      sizes.push_back(-1);
      ++unknown;
    } else if (extent.is_number()) {
      if (extent.numerator == 0) RefuseShape(e);  // an empty tensor
      sizes.push_back(extent.numerator);
    } else if (batch || shapes.AxisOf(x, static_cast<int>(axis)) == extent) {
      sizes.push_back(0);
    } else {
      sizes.push_back(-1);
      ++unknown;
    }
  }
  return unknown > 1 ? std::nullopt : std::optional(sizes);
}

Slot ReshapeTo(Evaluator& e, const Slot& x, SymbolicShape target, const std::vector<bool>& remains) {
  const graph::ValueId real = e.Real(x);
  if (const auto sizes = PlainSizes(e, real, target, remains, e.shapes())) {
    return e.Like(e.Emit(OpKind::kReshape, {real}, graph::SizesAttributes{*sizes}), x);
  }
  const SymbolicShape* from = e.shapes().Find(real);
  if (from == nullptr) RefuseShape(e);
  std::optional<Extent> rest = Extent::Number(1);
  for (const Extent& extent : *from) rest = *rest * extent;
  for (std::size_t i = 0; i < target.size(); ++i) {
    if (!remains[i] && rest) rest = Quotient(*rest, target[i]);
  }
  for (std::size_t i = 0; i < target.size(); ++i) {
    if (remains[i] && !rest) RefuseShape(e);
    if (remains[i]) target[i] = *rest;
  }
  const auto steps = ReshapeSteps(*from, target);
  if (!steps) RefuseShape(e);
  graph::ValueId value = real;
  for (const ReshapeStep& step : *steps) value = Apply(e, value, step);
  return e.Like(value, x);
}

// reshape(x, shape), view(x, shape)
Slot Reshape(Evaluator& e, const Inputs& in) {
  SymbolicShape target;
  std::vector<bool> remains;
  if (std::holds_alternative<Unknown>(in[1])) {  // the shape of another tensor
    e.Refuse(absl::StrCat("the shape of ", e.source_op(), " depends on the input"), "make it a constant of the model");
  }
  for (const Slot& item : e.Items(in[1], "shape")) {
    const auto extent = ToExtent(item);
    if (!extent) RefuseShape(e);
    remains.push_back(*extent == Extent::Number(-1));
    target.push_back(*extent);
  }
  return ReshapeTo(e, in[0], std::move(target), remains);
}

// unflatten(x, dim, sizes)
Slot Unflatten(Evaluator& e, const Inputs& in) {
  std::vector<std::int64_t> sizes;
  for (const Slot& item : e.Items(in[2], "sizes")) {
    const auto extent = ToExtent(item);
    if (!extent) RefuseShape(e);
    sizes.push_back(extent->is_number() ? extent->numerator : -1);
  }
  if (std::count(sizes.begin(), sizes.end(), -1) > 1) RefuseShape(e);
  return e.Like(e.EmitOperator("aten::unflatten", "int", {e.Real(in[0])},
                               {graph::TensorArgument{0}, e.Int(in[1], "dim"), std::move(sizes)}),
                in[0]);
}

// expand(x, sizes, implicit): the extents that x has stay.
Slot Expand(Evaluator& e, const Inputs& in) {
  const std::vector<Slot> items = e.Items(in[1], "sizes");
  const graph::ValueId x = e.Real(in[0]);
  const SymbolicShape* shape = e.shapes().Find(x);
  std::vector<std::int64_t> sizes;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto extent = ToExtent(items[i]);
    if (!extent) RefuseShape(e);
    if (extent->is_number()) {
      sizes.push_back(extent->numerator);
      continue;
    }
    if (shape == nullptr || shape->size() + i < items.size() || (*shape)[shape->size() + i - items.size()] != *extent) {
      RefuseShape(e);
    }
    sizes.push_back(-1);
  }
  return e.Like(e.EmitOperator("aten::expand", "", {x}, {graph::TensorArgument{0}, std::move(sizes)}), in[0]);
}

// slice(x, dim, start, end, step): an end at the extent itself is no bound.
Slot Slice(Evaluator& e, const Inputs& in) {
  const graph::ValueId x = e.Real(in[0]);
  const std::int64_t axis = e.Int(in[1], "dim");
  const SymbolicShape* shape = e.shapes().Find(x);
  const auto at = shape == nullptr ? std::nullopt : AxisFromStart(axis, shape->size());
  const auto bound = [&](const Slot& slot, std::int64_t otherwise) {
    if (IsNone(slot)) return otherwise;
    const auto extent = ToExtent(slot);
    const bool whole = extent && at && (*shape)[*at] == *extent;
    if (extent && extent->is_number()) return extent->numerator;
    if (!whole) {
      e.Refuse(absl::StrCat("a bound of ", e.source_op(), " depends on the shape of the input"),
               "make it a constant of the model");
    }
    return std::numeric_limits<std::int64_t>::max();
  };
  const std::int64_t start = bound(in[2], 0), end = bound(in[3], std::numeric_limits<std::int64_t>::max());
  return e.Like(e.EmitOperator("aten::slice", "Tensor", {x},
                               {graph::TensorArgument{0}, axis, start, end, e.Int(in[4], "step")}),
                in[0]);
}

Slot Permute(Evaluator& e, const Inputs& in) {
  return e.EmitLike(OpKind::kPermute, in[0], graph::SizesAttributes{e.Ints(in[1], "dims")});
}

// t(x), transpose(x, a, b): of quantized weights they give quantized weights.
Slot T(Evaluator& e, const Inputs& in) {
  const auto* symbol = std::get_if<Symbol>(&in[0]);
  if (symbol != nullptr && !symbol->codes) {
    if (const auto transposed = e.TransposedCodes(symbol->value)) return Symbol{*transposed};
  }
  return e.Like(e.EmitOperator("aten::t", "", {e.Real(in[0])}, {graph::TensorArgument{0}}), in[0]);
}

Slot Transpose(Evaluator& e, const Inputs& in) {
  const std::int64_t a = e.Int(in[1], "dim0"), b = e.Int(in[2], "dim1");
  const auto* symbol = std::get_if<Symbol>(&in[0]);
  if (symbol != nullptr && !symbol->codes && a != b && (a == 0 || a == 1 || a == -1 || a == -2)) {
    if (const auto transposed = e.TransposedCodes(symbol->value)) return Symbol{*transposed};
  }
  return e.Like(e.EmitOperator("aten::transpose", "int", {e.Real(in[0])}, {graph::TensorArgument{0}, a, b}), in[0]);
}

// pad(x, pad, mode, value): the operator that PyTorch picks by mode and number of axes.
Slot Pad(Evaluator& e, const Inputs& in) {
  std::vector<std::int64_t> pad = e.Ints(in[1], "pad");
  const std::string& mode = e.Concrete(in[2], "mode").toStringRef();
  const graph::ValueId x = e.Real(in[0]);
  if (mode == "constant") {
    const double value = IsNone(in[3]) ? 0.0 : e.Concrete(in[3], "value").toScalar().toDouble();
    return e.Like(e.EmitOperator("aten::constant_pad_nd", "", {x}, {graph::TensorArgument{0}, std::move(pad), value}), in[0]);
  }
  const std::size_t axes = pad.size() / 2;
  if ((mode != "reflect" && mode != "replicate") || axes < 1 || axes > 2) {
    e.Refuse(absl::StrCat("a pad of mode '", mode, "' along ", axes, " axes"), "pad with zeros");
  }
  return e.Like(e.EmitOperator(absl::StrCat(mode == "reflect" ? "aten::reflection_pad" : "aten::replication_pad", axes, "d"), "",
                               {x}, {graph::TensorArgument{0}, std::move(pad)}),
                in[0]);
}

constexpr std::array<std::pair<std::string_view, Evaluator::Handler>, 18> kOperators = {{
    {"aten::cat", Concat},
    {"aten::concat", Concat},
    {"aten::max_pool2d", MaxPool2d},
    {"aten::avg_pool2d", AvgPool2d},
    {"aten::adaptive_avg_pool2d", AdaptiveAvgPool2d},
    {"aten::mean", Reduce<OpKind::kMean>},
    {"aten::sum", Reduce<OpKind::kSum>},
    {"aten::flatten", Flatten},
    {"aten::reshape", Reshape},
    {"aten::view", Reshape},
    {"aten::unflatten", Unflatten},
    {"aten::expand", Expand},
    {"aten::slice", Slice},
    {"aten::permute", Permute},
    {"aten::t", T},
    {"aten::transpose", Transpose},
    {"aten::pad", Pad},
    {"quantized::max_pool2d", MaxPool2d},
}};

}  // namespace

Evaluator::Handler FindShapeOperator(std::string_view name) {
  for (const auto& [known, handler] : kOperators) {
    if (known == name) return handler;
  }
  return nullptr;
}

}  // namespace qatgap::frontends::torchscript
