// Float operators that work element by element, comparisons, and what passes its input on.
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <array>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/torchscript/evaluator.h"

namespace qatgap::frontends::torchscript {
namespace {

using graph::OpKind;
using Inputs = Evaluator::Inputs;

Slot Real(graph::ValueId value) { return Symbol{value}; }

// batch_norm(x, weight, bias, mean, var, training, momentum, eps, cudnn)
Slot BatchNorm(Evaluator& e, const Inputs& in) {
  if (e.Concrete(in[5], "training").toBool()) {
    e.Refuse("batch norm in training mode", "call model.eval() before exporting");
  }
  if (IsNone(in[3]) || IsNone(in[4])) {
    e.Refuse("a batch norm without running statistics", "set track_running_stats and train the model again");
  }
  const at::Tensor mean = e.Concrete(in[3], "running mean").toTensor();
  const auto or_default = [&](const Slot& slot, bool one) {
    if (!IsNone(slot)) return e.Real(slot);
    return e.Constant(one ? at::ones(mean.sizes()) : at::zeros(mean.sizes()));
  };
  return Real(e.Emit(OpKind::kBatchNorm,
                     {e.Real(in[0]), or_default(in[1], true), or_default(in[2], false), e.Real(in[3]), e.Real(in[4])},
                     graph::BatchNormAttributes{e.Concrete(in[7], "eps").toDouble()}));
}

// add(a, b, alpha), sub(a, b, alpha)
template <OpKind kKind>
Slot AddOrSub(Evaluator& e, const Inputs& in) {
  graph::ValueId b = e.Operand(in[1], in[0]);
  if (in.size() > 2 && e.Concrete(in[2], "alpha").toScalar().toDouble() != 1.0) {
    b = e.Emit(OpKind::kMul, {b, e.Operand(in[2], in[1])});
  }
  return Real(e.Emit(kKind, {e.Operand(in[0], in[1]), b}));
}

// rsub(a, b, alpha) = b - alpha * a
Slot ReverseSub(Evaluator& e, const Inputs& in) {
  Inputs reversed{in[1], in[0]};
  reversed.insert(reversed.end(), in.begin() + 2, in.end());
  return AddOrSub<OpKind::kSub>(e, reversed);
}

// mul(a, b), div(a, b), div(a, b, rounding_mode)
template <OpKind kKind>
Slot Binary(Evaluator& e, const Inputs& in) {
  const graph::ValueId a = e.Operand(in[0], in[1]), b = e.Operand(in[1], in[0]);
  if (kKind == OpKind::kDiv && in.size() > 2 && !IsNone(in[2])) {
    return Real(e.EmitOperator("aten::div", "Tensor_mode", {a, b},
                               {graph::TensorArgument{0}, graph::TensorArgument{1},
                                e.Concrete(in[2], "rounding mode").toStringRef()}));
  }
  return Real(e.Emit(kKind, {a, b}));
}

template <OpKind kKind>
Slot UnaryLike(Evaluator& e, const Inputs& in) {
  return e.EmitLike(kKind, in[0]);
}

// sigmoid, hardsigmoid: of codes they give scale 1/256 and the zero point that makes the range 0..255/256 (PyTorch 2.13).
template <OpKind kKind>
Slot ToUnitRange(Evaluator& e, const Inputs& in) {
  const graph::ValueId real = e.Emit(kKind, {e.Real(in[0])});
  if (!IsCodes(in[0])) return Real(real);
  const bool is_signed = std::get<Symbol>(in[0]).is_signed;
  return e.EmitQuantize(real, 1.0 / 256, is_signed ? -128 : 0, is_signed);
}

// tanh: of codes it gives scale 2/256 and the middle of the range as zero point (PyTorch 2.13).
Slot Tanh(Evaluator& e, const Inputs& in) {
  const graph::ValueId real = e.EmitOperator("aten::tanh", "", {e.Real(in[0])}, {graph::TensorArgument{0}});
  if (!IsCodes(in[0])) return Real(real);
  const bool is_signed = std::get<Symbol>(in[0]).is_signed;
  return e.EmitQuantize(real, 2.0 / 256, is_signed ? 0 : 128, is_signed);
}

// clamp(x, min, max) with numbers, of which one may be left out
Slot Clamp(Evaluator& e, const Inputs& in) {
  const auto bound = [&](std::size_t i) -> graph::Argument {
    if (i >= in.size() || IsNone(in[i])) return std::monostate{};
    return e.Concrete(in[i], "bound").toScalar().toDouble();
  };
  if (std::holds_alternative<Symbol>(in[1]) || (in.size() > 2 && std::holds_alternative<Symbol>(in[2]))) {
    e.Refuse("a clamp whose bounds depend on the input", "use torch.minimum and torch.maximum");
  }
  const graph::Argument low = bound(1), high = bound(2);
  if (std::holds_alternative<double>(low) && std::holds_alternative<double>(high)) {
    return e.EmitLike(OpKind::kClamp, in[0], graph::ClampAttributes{std::get<double>(low), std::get<double>(high)});
  }
  return e.Like(e.EmitOperator("aten::clamp", "", {e.Real(in[0])}, {graph::TensorArgument{0}, low, high}), in[0]);
}

Slot Relu6(Evaluator& e, const Inputs& in) { return e.EmitLike(OpKind::kClamp, in[0], graph::ClampAttributes{0, 6}); }

template <OpKind kKind>
Slot Compare(Evaluator& e, const Inputs& in) {
  if (!std::holds_alternative<Symbol>(in[0]) && !std::holds_alternative<Symbol>(in[1])) return Unknown{};
  return Real(e.Emit(kKind, {e.Operand(in[0], in[1]), e.Operand(in[1], in[0])}));
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

// to(x, dtype or device or other, ...): to its own type it is x itself.
Slot To(Evaluator& e, const Inputs& in) {
  const auto* x = std::get_if<Symbol>(&in[0]);
  const auto* constant = std::get_if<c10::IValue>(&in[0]);
  const at::ScalarType from = x != nullptr                                     ? e.TypeOf(x->value)
                              : constant != nullptr && constant->isTensor() ? constant->toTensor().scalar_type()
                                                                            : at::kFloat;
  at::ScalarType wanted = from;
  for (std::size_t i = 1; i < in.size() && i < 3; ++i) {
    if (const auto* other = std::get_if<Symbol>(&in[i])) wanted = other->codes ? at::kQUInt8 : e.TypeOf(other->value);
    const auto* value = std::get_if<c10::IValue>(&in[i]);
    if (value != nullptr && value->isInt()) wanted = static_cast<at::ScalarType>(value->toInt());
    if (value != nullptr && value->isTensor()) wanted = value->toTensor().scalar_type();
  }
  if (IsCodes(in[0])) {
    if (wanted == from || wanted == at::kQUInt8 || wanted == at::kQInt8) return in[0];
    e.Refuse("a conversion of a quantized tensor", "dequantize it first");
  }
  if (wanted == from) return in[0];
  const bool known = wanted == at::kFloat || wanted == at::kLong || wanted == at::kInt || wanted == at::kBool ||
                     wanted == at::kByte || wanted == at::kChar;
  if (!known) e.Refuse(absl::StrCat("a conversion to ", at::toString(wanted)), "keep the model in float32");
  return Real(e.EmitOperator("aten::to", "dtype", {e.Real(in[0])},
                             {graph::TensorArgument{0}, static_cast<std::int64_t>(wanted)}));
}

// dropout(x, p, train)
Slot Dropout(Evaluator& e, const Inputs& in) {
  if (e.Concrete(in[2], "train").toBool()) e.Refuse("dropout in training mode", "call model.eval() before exporting");
  return in[0];
}

constexpr std::array<std::pair<std::string_view, Evaluator::Handler>, 44> kOperators = {{
    {"aten::batch_norm", BatchNorm},
    {"aten::add", AddOrSub<OpKind::kAdd>},
    {"aten::sub", AddOrSub<OpKind::kSub>},
    {"aten::rsub", ReverseSub},
    {"aten::mul", Binary<OpKind::kMul>},
    {"aten::div", Binary<OpKind::kDiv>},
    {"aten::relu", UnaryLike<OpKind::kRelu>},
    {"aten::relu6", Relu6},
    {"aten::hardtanh", Clamp},
    {"aten::clamp", Clamp},
    {"aten::hardswish", UnaryLike<OpKind::kHardswish>},
    {"aten::hardsigmoid", ToUnitRange<OpKind::kHardsigmoid>},
    {"aten::sigmoid", ToUnitRange<OpKind::kSigmoid>},
    {"aten::tanh", Tanh},
    {"aten::gt", Compare<OpKind::kGreater>},
    {"aten::ge", Compare<OpKind::kGreaterEqual>},
    {"aten::lt", Compare<OpKind::kLess>},
    {"aten::le", Compare<OpKind::kLessEqual>},
    {"aten::Bool", Truth},
    {"aten::is_nonzero", Truth},
    {"aten::dropout", Dropout},
    {"aten::feature_dropout", Dropout},
    {"aten::alpha_dropout", Dropout},
    {"aten::feature_alpha_dropout", Dropout},
    {"aten::contiguous", PassThrough},
    {"aten::detach", PassThrough},
    {"aten::alias", PassThrough},
    {"aten::clone", Clone},
    {"aten::to", To},
    {"aten::type_as", To},
    {"aten::item", PassThrough},
    {"aten::Float", PassThrough},
    {"aten::FloatImplicit", PassThrough},
    {"aten::IntImplicit", PassThrough},
    {"aten::ScalarImplicit", PassThrough},
    {"aten::__not__", Not},
    {"quantized::relu6", Relu6},
    {"quantized::dropout", PassThrough},
    {"quantized::clamp", Clamp},
    {"aten::format", OfShape},
    {"aten::__contains__", OfShape},
    {"aten::stride", OfShape},
    {"aten::storage_offset", OfShape},
    {"aten::is_same_size", OfShape},
}};

}  // namespace

Evaluator::Handler FindFloatOperator(std::string_view name) {
  for (const auto& [known, handler] : kOperators) {
    if (known == name) return handler;
  }
  return nullptr;
}

}  // namespace qatgap::frontends::torchscript
