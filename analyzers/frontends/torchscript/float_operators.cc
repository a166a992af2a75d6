// Float operators that depend on the model's input.
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/torchscript/evaluator.h"

namespace qatgap::frontends::torchscript {
namespace {

using graph::OpKind;
using Inputs = Evaluator::Inputs;

Slot Real(graph::ValueId value) { return Symbol{value, false}; }

// One entry per spatial axis; TorchScript allows one entry for all.
std::vector<std::int64_t> PerAxis(std::vector<std::int64_t> values, std::size_t axes) {
  if (values.size() == 1) values.resize(axes, values[0]);
  return values;
}

Slot Convolve(Evaluator& e, const Inputs& in, graph::ConvolutionAttributes attributes) {
  if (!attributes.transposed) attributes.output_padding.clear();  // tracing writes zeros
  std::vector<graph::ValueId> operands{e.Real(in[0]), e.Real(in[1])};
  if (!Evaluator::IsNone(in[2])) operands.push_back(e.Real(in[2]));
  return Real(e.Emit(OpKind::kConvolution, std::move(operands), std::move(attributes)));
}

// conv{1,2,3}d(x, weight, bias, stride, padding, dilation, groups)
template <std::size_t kAxes>
Slot Conv(Evaluator& e, const Inputs& in) {
  if (const auto* padding = std::get_if<c10::IValue>(&in[4]); padding != nullptr && padding->isString()) {
    e.Refuse("a convolution with padding given as a word", "give the padding as numbers");
  }
  return Convolve(e, in,
                  {.stride = PerAxis(e.Ints(in[3], "stride"), kAxes),
                   .padding = PerAxis(e.Ints(in[4], "padding"), kAxes),
                   .dilation = PerAxis(e.Ints(in[5], "dilation"), kAxes),
                   .groups = e.Int(in[6], "groups"),
                   .transposed = false,
                   .output_padding = {}});
}

// _convolution(x, weight, bias, stride, padding, dilation, transposed, output_padding, groups, ...)
Slot ConvolutionOfTrace(Evaluator& e, const Inputs& in) {
  const std::vector<std::int64_t> stride = e.Ints(in[3], "stride");
  return Convolve(e, in,
                  {.stride = stride,
                   .padding = PerAxis(e.Ints(in[4], "padding"), stride.size()),
                   .dilation = PerAxis(e.Ints(in[5], "dilation"), stride.size()),
                   .groups = e.Int(in[8], "groups"),
                   .transposed = e.Concrete(in[6], "transposed").toBool(),
                   .output_padding = e.Ints(in[7], "output padding")});
}

// conv_transpose2d(x, weight, bias, stride, padding, output_padding, groups, dilation)
Slot ConvTranspose2d(Evaluator& e, const Inputs& in) {
  return Convolve(e, in,
                  {.stride = PerAxis(e.Ints(in[3], "stride"), 2),
                   .padding = PerAxis(e.Ints(in[4], "padding"), 2),
                   .dilation = PerAxis(e.Ints(in[7], "dilation"), 2),
                   .groups = e.Int(in[6], "groups"),
                   .transposed = true,
                   .output_padding = PerAxis(e.Ints(in[5], "output padding"), 2)});
}

Slot Linear(Evaluator& e, const Inputs& in) {
  std::vector<graph::ValueId> operands{e.Real(in[0]), e.Real(in[1])};
  if (!Evaluator::IsNone(in[2])) operands.push_back(e.Real(in[2]));
  return Real(e.Emit(OpKind::kLinear, std::move(operands)));
}

// batch_norm(x, weight, bias, mean, var, training, momentum, eps, cudnn)
Slot BatchNorm(Evaluator& e, const Inputs& in) {
  if (e.Concrete(in[5], "training").toBool()) {
    e.Refuse("batch norm in training mode", "call model.eval() before exporting");
  }
  const at::Tensor mean = e.Concrete(in[3], "running mean").toTensor();
  const auto or_default = [&](const Slot& slot, bool one) {
    if (!Evaluator::IsNone(slot)) return e.Real(slot);
    return e.Constant(one ? at::ones(mean.sizes()) : at::zeros(mean.sizes()));
  };
  return Real(e.Emit(OpKind::kBatchNorm,
                     {e.Real(in[0]), or_default(in[1], true), or_default(in[2], false), e.Real(in[3]), e.Real(in[4])},
                     graph::BatchNormAttributes{e.Concrete(in[7], "eps").toDouble()}));
}

// add(a, b, alpha), sub(a, b, alpha)
template <OpKind kKind>
Slot AddOrSub(Evaluator& e, const Inputs& in) {
  graph::ValueId b = e.Real(in[1]);
  if (in.size() > 2 && e.Concrete(in[2], "alpha").toScalar().toDouble() != 1.0) {
    b = e.Emit(OpKind::kMul, {b, e.Real(in[2])});
  }
  return Real(e.Emit(kKind, {e.Real(in[0]), b}));
}

// rsub(a, b, alpha) = b - alpha * a
Slot ReverseSub(Evaluator& e, const Inputs& in) {
  Inputs reversed{in[1], in[0]};
  reversed.insert(reversed.end(), in.begin() + 2, in.end());
  return AddOrSub<OpKind::kSub>(e, reversed);
}

template <OpKind kKind>
Slot Binary(Evaluator& e, const Inputs& in) {
  if (in.size() > 2) e.Refuse("a division with a rounding mode", "export the model without it");
  return Real(e.Emit(kKind, {e.Real(in[0]), e.Real(in[1])}));
}

template <OpKind kKind>
Slot Unary(Evaluator& e, const Inputs& in) {
  return Real(e.Emit(kKind, {e.Real(in[0])}));
}

template <OpKind kKind>
Slot UnaryLike(Evaluator& e, const Inputs& in) {
  return e.EmitLike(kKind, in[0]);
}

// sigmoid, hardsigmoid: of codes they give scale 1/256 and the zero point that makes the range 0..255/256 (PyTorch 2.13).
template <OpKind kKind>
Slot ToUnitRange(Evaluator& e, const Inputs& in) {
  const graph::ValueId real = e.Emit(kKind, {e.Real(in[0])});
  if (!Evaluator::IsCodes(in[0])) return Real(real);
  const bool is_signed = std::get<Symbol>(in[0]).is_signed;
  return e.EmitQuantize(real, 1.0 / 256, is_signed ? -128 : 0, is_signed);
}

Slot Clamp(Evaluator& e, const Inputs& in) {
  if (Evaluator::IsNone(in[1]) || Evaluator::IsNone(in[2])) {
    e.Refuse("a clamp with one bound", "use relu, or give both bounds");
  }
  return e.EmitLike(OpKind::kClamp, in[0],
                    graph::ClampAttributes{e.Concrete(in[1], "min").toScalar().toDouble(),
                                           e.Concrete(in[2], "max").toScalar().toDouble()});
}

Slot Relu6(Evaluator& e, const Inputs& in) { return e.EmitLike(OpKind::kClamp, in[0], graph::ClampAttributes{0, 6}); }

// cat(tensors, dim); of quantized tensors the output keeps the first one's qparams (PyTorch 2.13).
Slot Concat(Evaluator& e, const Inputs& in) {
  const std::vector<Slot> items = e.Items(in[0], "tensors");
  std::vector<graph::ValueId> operands;
  for (const Slot& item : items) operands.push_back(e.Real(item));
  const graph::ValueId real =
      e.Emit(OpKind::kConcat, std::move(operands), graph::AxisAttributes{e.Int(in[1], "dim")});
  if (items.empty() || !Evaluator::IsCodes(items[0])) return Real(real);
  return Symbol{e.Emit(OpKind::kQuantizeLike, {real, e.Codes(items[0])}), true, std::get<Symbol>(items[0]).is_signed};
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
  if (!Evaluator::IsNone(in[6])) pool.divisor_override = e.Int(in[6], "divisor");
  return e.EmitLike(OpKind::kAvgPool2d, in[0], std::move(pool));
}

Slot AdaptiveAvgPool2d(Evaluator& e, const Inputs& in) {
  return e.EmitLike(OpKind::kAdaptiveAvgPool2d, in[0],
                    graph::SizesAttributes{PerAxis(e.Ints(in[1], "output size"), 2)});
}

// mean(x, dtype) or mean(x, dims, keepdim, dtype); sum likewise.
template <OpKind kKind>
Slot Reduce(Evaluator& e, const Inputs& in) {
  graph::ReduceAttributes reduce;
  if (in.size() > 2) {
    if (!Evaluator::IsNone(in[1])) reduce.axes = e.Ints(in[1], "dims");
    reduce.keep_dims = e.Concrete(in[2], "keepdim").toBool();
  }
  return e.EmitLike(kKind, in[0], std::move(reduce));
}

Slot Flatten(Evaluator& e, const Inputs& in) {
  return e.EmitLike(OpKind::kFlatten, in[0],
                    graph::FlattenAttributes{e.Int(in[1], "start"), e.Int(in[2], "end")});
}

Slot Reshape(Evaluator& e, const Inputs& in) {
  return e.EmitLike(OpKind::kReshape, in[0], graph::SizesAttributes{e.ReshapeSizes(in[1], in[0])});
}

Slot Permute(Evaluator& e, const Inputs& in) {
  return e.EmitLike(OpKind::kPermute, in[0], graph::SizesAttributes{e.Ints(in[1], "dims")});
}

template <OpKind kKind>
Slot Compare(Evaluator& e, const Inputs& in) {
  if (!std::holds_alternative<Symbol>(in[0]) && !std::holds_alternative<Symbol>(in[1])) return Unknown{};
  return Real(e.Emit(kKind, {e.Real(in[0]), e.Real(in[1])}));
}

Slot Truth(Evaluator& e, const Inputs& in) {
  return std::holds_alternative<SymbolicBool>(in[0]) ? in[0] : Slot(SymbolicBool{e.Real(in[0])});
}

Slot Not(Evaluator& e, const Inputs& in) {
  if (const auto* truth = std::get_if<SymbolicBool>(&in[0])) return SymbolicBool{truth->value, !truth->negated};
  return SymbolicBool{e.Real(in[0]), true};
}

Slot PassThrough(Evaluator&, const Inputs& in) { return in[0]; }

Slot Clone(Evaluator& e, const Inputs& in) {
  return std::holds_alternative<Symbol>(in[0]) ? Slot(e.Clone(std::get<Symbol>(in[0]))) : in[0];
}

Slot OfShape(Evaluator&, const Inputs&) { return Unknown{}; }

// size(x) or size(x, axis)
Slot Size(Evaluator& e, const Inputs& in) {
  const auto* symbol = std::get_if<Symbol>(&in[0]);
  if (symbol == nullptr) return Unknown{};
  if (in.size() == 1) return Unknown{symbol->value};
  const std::int64_t axis = e.Int(in[1], "axis");
  if (axis < 0 || axis > 7) return Unknown{};
  return Unknown{symbol->value, static_cast<int>(axis)};
}

// to(x, dtype or device or other, ...): to float32 it is x itself.
Slot To(Evaluator& e, const Inputs& in) {
  if (Evaluator::IsCodes(in[0])) e.Refuse("a conversion of a quantized tensor", "dequantize it first");
  for (std::size_t i = 1; i < in.size(); ++i) {
    const auto* value = std::get_if<c10::IValue>(&in[i]);
    if (value != nullptr && value->isInt() && i < 3 && value->toInt() != static_cast<std::int64_t>(at::kFloat)) {
      e.Refuse(absl::StrCat("a conversion to ", at::toString(static_cast<at::ScalarType>(value->toInt()))),
               "keep the model in float32");
    }
    if (value != nullptr && value->isTensor() && value->toTensor().scalar_type() != at::kFloat) {
      e.Refuse(absl::StrCat("a conversion to ", at::toString(value->toTensor().scalar_type())), "keep the model in float32");
    }
  }
  return in[0];
}

Slot Dropout(Evaluator& e, const Inputs& in) {
  if (e.Concrete(in[2], "train").toBool()) e.Refuse("dropout in training mode", "call model.eval() before exporting");
  return in[0];
}

constexpr std::array<std::pair<std::string_view, Evaluator::Handler>, 62> kOperators = {{
    {"aten::conv1d", Conv<1>},
    {"aten::conv2d", Conv<2>},
    {"aten::conv3d", Conv<3>},
    {"aten::_convolution", ConvolutionOfTrace},
    {"aten::conv_transpose2d", ConvTranspose2d},
    {"aten::linear", Linear},
    {"aten::batch_norm", BatchNorm},
    {"aten::add", AddOrSub<OpKind::kAdd>},
    {"aten::sub", AddOrSub<OpKind::kSub>},
    {"aten::mul", Binary<OpKind::kMul>},
    {"aten::div", Binary<OpKind::kDiv>},
    {"aten::relu", UnaryLike<OpKind::kRelu>},
    {"aten::relu6", Relu6},
    {"aten::hardtanh", Clamp},
    {"aten::clamp", Clamp},
    {"aten::hardswish", Unary<OpKind::kHardswish>},
    {"aten::hardsigmoid", ToUnitRange<OpKind::kHardsigmoid>},
    {"aten::sigmoid", ToUnitRange<OpKind::kSigmoid>},
    {"aten::cat", Concat},
    {"aten::max_pool2d", MaxPool2d},
    {"aten::avg_pool2d", AvgPool2d},
    {"aten::adaptive_avg_pool2d", AdaptiveAvgPool2d},
    {"aten::mean", Reduce<OpKind::kMean>},
    {"aten::sum", Reduce<OpKind::kSum>},
    {"aten::flatten", Flatten},
    {"aten::reshape", Reshape},
    {"aten::view", Reshape},
    {"aten::permute", Permute},
    {"aten::gt", Compare<OpKind::kGreater>},
    {"aten::ge", Compare<OpKind::kGreaterEqual>},
    {"aten::lt", Compare<OpKind::kLess>},
    {"aten::le", Compare<OpKind::kLessEqual>},
    {"aten::Bool", Truth},
    {"aten::is_nonzero", Truth},
    {"aten::dropout", Dropout},
    {"aten::feature_dropout", Dropout},
    {"aten::contiguous", PassThrough},
    {"aten::detach", PassThrough},
    {"aten::clone", Clone},
    {"aten::to", To},
    {"aten::type_as", To},
    {"aten::item", PassThrough},
    {"aten::Float", PassThrough},
    {"aten::FloatImplicit", PassThrough},
    {"aten::__not__", Not},
    {"aten::logical_not", Not},
    {"aten::rsub", ReverseSub},
    {"quantized::relu6", Relu6},
    {"quantized::max_pool2d", MaxPool2d},
    {"aten::alias", PassThrough},
    {"aten::requires_grad", OfShape},
    {"aten::size", Size},
    {"aten::dim", OfShape},
    {"aten::len", OfShape},
    {"aten::numel", OfShape},
    {"aten::is_floating_point", OfShape},
    {"aten::__getitem__", OfShape},
    {"aten::eq", OfShape},
    {"aten::ne", OfShape},
    {"aten::format", OfShape},
    {"aten::__contains__", OfShape},
    {"aten::stride", OfShape},
}};

}  // namespace

Evaluator::Handler FindFloatOperator(std::string_view name) {
  const auto it = std::find_if(kOperators.begin(), kOperators.end(), [&](const auto& entry) { return entry.first == name; });
  return it == kOperators.end() ? nullptr : it->second;
}

}  // namespace qatgap::frontends::torchscript
