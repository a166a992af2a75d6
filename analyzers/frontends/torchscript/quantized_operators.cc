// Quantized operators of converted models that are no MAC layers, written as dequantize, float operator, quantize.
#include <ATen/core/Tensor.h>

#include <array>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/torchscript/evaluator.h"

namespace qatgap::frontends::torchscript {
namespace {

using graph::Argument;
using graph::OpKind;
using graph::TensorArgument;
using Inputs = Evaluator::Inputs;

// Output of a quantized operator: codes of the same type as its input `x`.
Slot Requantize(Evaluator& e, graph::ValueId real, const Slot& x, const Slot& scale, const Slot& zero_point) {
  return e.EmitQuantize(real, e.Concrete(scale, "output scale").toDouble(), e.Int(zero_point, "output zero point"),
                        e.IsSigned(x));
}

double Number(const c10::IValue& value) {
  return value.isTensor() ? value.toTensor().item<double>() : value.toScalar().toDouble();
}

// The qparams of codes, where no branch gives codes of several.
numerics::QuantParams ParamsOf(Evaluator& e, graph::ValueId codes) {
  while (const graph::Node* node = e.graph().producer(codes)) {
    if (const auto* quantize = std::get_if<graph::QuantizeAttributes>(&node->attributes)) return quantize->qparams;
    if (node->kind != OpKind::kQuantizeLike) break;
    codes = node->inputs[1];
  }
  e.Refuse(absl::StrCat(e.source_op(), " on a tensor that comes from a branch"), "move it into the branch");
}

// x + c, PyTorch 2.13: c is rounded to the input's grid and moves the zero point, where there is room for it; else the
// range is what can be reached, with the zero point at its end.
Slot AddScalar(Evaluator& e, const Slot& x, const Slot& number, bool relu) {
  const numerics::QuantParams params = ParamsOf(e, e.Codes(x));
  const double scale = params.scale();
  const double addend = Number(e.Concrete(number, "scalar"));
  if (!std::isfinite(addend) || std::abs(addend / scale) > 1e9) {
    e.Refuse(absl::StrCat("a scalar of ", addend, " beside a scale of ", scale), "mend the model and export it again");
  }
  const auto steps = static_cast<std::int64_t>(std::nearbyint(addend / scale));
  const std::int64_t low = params.quant_min, high = params.quant_max, moved = params.zero_point() - steps;
  double new_scale = scale;
  std::int64_t zero_point = moved;
  if (moved < low) {
    new_scale = static_cast<double>(high - moved) / static_cast<double>(high - low) * scale;
    zero_point = low;
  } else if (moved > high) {
    new_scale = static_cast<double>(moved - low) / static_cast<double>(high - low) * scale;
    zero_point = high;
  }
  graph::ValueId value =
      e.Emit(OpKind::kAdd, {e.Dequantized(x), e.Real(c10::IValue(static_cast<double>(steps) * scale))});
  if (relu) value = e.Emit(OpKind::kRelu, {value});
  return e.EmitQuantize(value, new_scale, zero_point, e.IsSigned(x));
}

// x * c, PyTorch 2.13: codes stay, or are mirrored where c is negative; the scale takes |c|. By 0: code 0 at scale 1.
Slot MulScalar(Evaluator& e, const Slot& x, const Slot& number, bool relu) {
  const numerics::QuantParams params = ParamsOf(e, e.Codes(x));
  const double factor = Number(e.Concrete(number, "scalar"));
  graph::ValueId value = e.Emit(OpKind::kMul, {e.Dequantized(x), e.Real(c10::IValue(factor))});
  if (relu) value = e.Emit(OpKind::kRelu, {value});
  const bool is_signed = e.IsSigned(x);
  if (factor == 0) return e.EmitQuantize(value, 1.0, 0, is_signed);
  if (factor > 0) return e.EmitQuantize(value, params.scale() * factor, params.zero_point(), is_signed);
  return e.EmitQuantize(value, -params.scale() * factor, params.quant_min + params.quant_max - params.zero_point(), is_signed);
}

template <OpKind kKind, bool kRelu>
Slot WithScalar(Evaluator& e, const Inputs& in) {
  const bool number_first = !IsCodes(in[0]);
  const Slot& x = in[number_first ? 1 : 0];
  const Slot& number = in[number_first ? 0 : 1];
  return kKind == OpKind::kAdd ? AddScalar(e, x, number, kRelu) : MulScalar(e, x, number, kRelu);
}

// add(a, b, scale, zero_point), add(a, number) and their like
template <OpKind kKind, bool kRelu>
Slot Binary(Evaluator& e, const Inputs& in) {
  if (in.size() == 2) return WithScalar<kKind, kRelu>(e, in);
  graph::ValueId value = e.Emit(kKind, {e.Dequantized(in[0]), e.Dequantized(in[1])});
  if (kRelu) value = e.Emit(OpKind::kRelu, {value});
  return Requantize(e, value, in[0], in[2], in[3]);
}

// cat(tensors, dim, scale, zero_point)
template <bool kRelu>
Slot Concat(Evaluator& e, const Inputs& in) {
  const std::vector<Slot> items = e.Items(in[0], "tensors");
  if (items.empty()) e.Refuse("a cat of nothing", "export the model again");
  std::vector<graph::ValueId> operands;
  for (const Slot& item : items) operands.push_back(e.Dequantized(item));
  graph::ValueId value = e.Emit(OpKind::kConcat, std::move(operands), graph::AxisAttributes{e.Int(in[1], "dim")});
  if (kRelu) value = e.Emit(OpKind::kRelu, {value});
  return Requantize(e, value, items[0], in[2], in[3]);
}

// hardswish(x, scale, zero_point), sigmoid likewise
template <OpKind kKind>
Slot Unary(Evaluator& e, const Inputs& in) {
  return Requantize(e, e.Emit(kKind, {e.Dequantized(in[0])}), in[0], in[1], in[2]);
}

// matmul(a, b, scale, zero_point)
Slot Matmul(Evaluator& e, const Inputs& in) {
  const graph::ValueId value =
      e.EmitOperator("aten::matmul", "", {e.Dequantized(in[0]), e.Dequantized(in[1])}, {TensorArgument{0}, TensorArgument{1}});
  return Requantize(e, value, in[0], in[2], in[3]);
}

double Scalar(Evaluator& e, const Slot& slot, std::string_view what) { return e.Concrete(slot, what).toScalar().toDouble(); }

// leaky_relu(x, negative_slope, inplace, scale, zero_point)
Slot LeakyRelu(Evaluator& e, const Inputs& in) {
  return Requantize(e, e.EmitOperator("aten::leaky_relu", "", {e.Dequantized(in[0])},
                                      {TensorArgument{0}, Scalar(e, in[1], "negative slope")}),
                    in[0], in[3], in[4]);
}

// elu(x, scale, zero_point, alpha, scale_of_elu, input_scale)
Slot Elu(Evaluator& e, const Inputs& in) {
  return Requantize(e, e.EmitOperator("aten::elu", "", {e.Dequantized(in[0])},
                                      {TensorArgument{0}, Scalar(e, in[3], "alpha"), Scalar(e, in[4], "scale"),
                                       Scalar(e, in[5], "input scale")}),
                    in[0], in[1], in[2]);
}

// celu(x, scale, zero_point, alpha)
Slot Celu(Evaluator& e, const Inputs& in) {
  return Requantize(e, e.EmitOperator("aten::celu", "", {e.Dequantized(in[0])}, {TensorArgument{0}, Scalar(e, in[3], "alpha")}),
                    in[0], in[1], in[2]);
}

// softmax(x, dim, scale, zero_point)
Slot Softmax(Evaluator& e, const Inputs& in) {
  return Requantize(e, e.EmitOperator("aten::softmax", "int", {e.Dequantized(in[0])}, {TensorArgument{0}, e.Int(in[1], "dim")}),
                    in[0], in[2], in[3]);
}

// prelu(x, weight, scale, zero_point)
Slot Prelu(Evaluator& e, const Inputs& in) {
  return Requantize(e, e.EmitOperator("aten::prelu", "", {e.Dequantized(in[0]), e.Real(in[1])},
                                      {TensorArgument{0}, TensorArgument{1}}),
                    in[0], in[2], in[3]);
}

// Weight and bias of a normalisation, either of which may be absent, behind `operands`.
std::vector<Argument> Affine(Evaluator& e, const Slot& weight, const Slot& bias, std::vector<graph::ValueId>& operands) {
  std::vector<Argument> arguments;
  for (const Slot* slot : {&weight, &bias}) {
    if (IsNone(*slot)) {
      arguments.emplace_back(std::monostate{});
    } else {
      arguments.emplace_back(TensorArgument{static_cast<int>(operands.size())});
      operands.push_back(e.Real(*slot));
    }
  }
  return arguments;
}

// layer_norm(x, shape, weight, bias, eps, scale, zero_point), group_norm(x, groups, weight, bias, eps, scale, zero_point)
template <bool kGroups>
Slot LayerNorm(Evaluator& e, const Inputs& in) {
  std::vector<graph::ValueId> operands{e.Dequantized(in[0])};
  const std::vector<Argument> affine = Affine(e, in[2], in[3], operands);
  const Argument what = kGroups ? Argument(e.Int(in[1], "groups")) : Argument(e.Ints(in[1], "shape"));
  return Requantize(e, e.EmitOperator(kGroups ? "aten::group_norm" : "aten::layer_norm", "", std::move(operands),
                                      {TensorArgument{0}, what, affine[0], affine[1], Scalar(e, in[4], "eps")}),
                    in[0], in[5], in[6]);
}

// instance_norm(x, weight, bias, eps, scale, zero_point)
Slot InstanceNorm(Evaluator& e, const Inputs& in) {
  std::vector<graph::ValueId> operands{e.Dequantized(in[0])};
  const std::vector<Argument> affine = Affine(e, in[1], in[2], operands);
  return Requantize(e, e.EmitOperator("aten::instance_norm", "", std::move(operands),
                                      {TensorArgument{0}, affine[0], affine[1], std::monostate{}, std::monostate{},
                                       /*use_input_stats=*/true, /*momentum=*/0.1, Scalar(e, in[3], "eps"),
                                       /*cudnn_enabled=*/false}),
                    in[0], in[4], in[5]);
}

// batch_norm(x, weight, bias, mean, variance, eps, scale, zero_point)
template <bool kRelu>
Slot BatchNorm(Evaluator& e, const Inputs& in) {
  const at::Tensor mean = e.Concrete(in[3], "mean").toTensor();
  const auto or_default = [&](const Slot& slot, double value) {
    return IsNone(slot) ? e.Constant(mean.new_full(mean.sizes(), value)) : e.Real(slot);
  };
  graph::ValueId value = e.Emit(
      OpKind::kBatchNorm, {e.Dequantized(in[0]), or_default(in[1], 1), or_default(in[2], 0), e.Real(in[3]), e.Real(in[4])},
      graph::BatchNormAttributes{Scalar(e, in[5], "eps")});
  if (kRelu) value = e.Emit(OpKind::kRelu, {value});
  return Requantize(e, value, in[0], in[6], in[7]);
}

// threshold(x, threshold, value)
Slot Threshold(Evaluator& e, const Inputs& in) {
  return e.Like(e.EmitOperator("aten::threshold", "", {e.Dequantized(in[0])},
                               {TensorArgument{0}, Scalar(e, in[1], "threshold"), Scalar(e, in[2], "value")}),
                in[0]);
}

// max_pool1d(x, kernel, stride, padding, dilation, ceil_mode)
Slot MaxPool1d(Evaluator& e, const Inputs& in) {
  return e.Like(e.EmitOperator("aten::max_pool1d", "", {e.Dequantized(in[0])},
                               {TensorArgument{0}, e.Ints(in[1], "kernel"), e.Ints(in[2], "stride"), e.Ints(in[3], "padding"),
                                e.Ints(in[4], "dilation"), e.Concrete(in[5], "ceil_mode").toBool()}),
                in[0]);
}

// quantize_per_tensor(x, scale, zero_point, dtype)
Slot Quantize(Evaluator& e, const Inputs& in) {
  const auto dtype = static_cast<at::ScalarType>(e.Int(in[3], "dtype"));
  if (dtype != at::kQUInt8 && dtype != at::kQInt8) {
    e.Refuse(absl::StrCat("quantization to ", at::toString(dtype)), "quantize activations to quint8 or qint8");
  }
  return e.EmitQuantize(e.Real(in[0]), Number(e.Concrete(in[1], "scale")),
                        static_cast<std::int64_t>(Number(e.Concrete(in[2], "zero point"))), dtype == at::kQInt8);
}

// Of a tensor that is no codes it is that tensor in float32.
Slot Dequantize(Evaluator& e, const Inputs& in) {
  return IsCodes(in[0]) ? Slot(Symbol{e.Dequantized(in[0])}) : in[0];
}

constexpr std::array<std::pair<std::string_view, Evaluator::Handler>, 33> kOperators = {{
    {"quantized::add", Binary<OpKind::kAdd, false>},
    {"quantized::add_relu", Binary<OpKind::kAdd, true>},
    {"quantized::add_scalar", WithScalar<OpKind::kAdd, false>},
    {"quantized::add_scalar_relu", WithScalar<OpKind::kAdd, true>},
    {"quantized::mul", Binary<OpKind::kMul, false>},
    {"quantized::mul_relu", Binary<OpKind::kMul, true>},
    {"quantized::mul_scalar", WithScalar<OpKind::kMul, false>},
    {"quantized::mul_scalar_relu", WithScalar<OpKind::kMul, true>},
    {"quantized::matmul", Matmul},
    {"quantized::cat", Concat<false>},
    {"quantized::cat_relu", Concat<true>},
    {"quantized::hardswish", Unary<OpKind::kHardswish>},
    {"quantized::sigmoid", Unary<OpKind::kSigmoid>},
    {"quantized::leaky_relu", LeakyRelu},
    {"quantized::elu", Elu},
    {"quantized::celu", Celu},
    {"quantized::prelu", Prelu},
    {"quantized::softmax", Softmax},
    {"quantized::threshold", Threshold},
    {"quantized::layer_norm", LayerNorm<false>},
    {"quantized::group_norm", LayerNorm<true>},
    {"quantized::instance_norm", InstanceNorm},
    {"quantized::batch_norm", BatchNorm<false>},
    {"quantized::batch_norm_relu", BatchNorm<true>},
    {"quantized::batch_norm1d", BatchNorm<false>},
    {"quantized::batch_norm1d_relu", BatchNorm<true>},
    {"quantized::batch_norm2d", BatchNorm<false>},
    {"quantized::batch_norm2d_relu", BatchNorm<true>},
    {"quantized::batch_norm3d", BatchNorm<false>},
    {"quantized::batch_norm3d_relu", BatchNorm<true>},
    {"quantized::max_pool1d", MaxPool1d},
    {"aten::quantize_per_tensor", Quantize},
    {"aten::dequantize", Dequantize},
}};

}  // namespace

Evaluator::Handler FindQuantizedOperator(std::string_view name) {
  for (const auto& [known, handler] : kOperators) {
    if (known == name) return handler;
  }
  return nullptr;
}

}  // namespace qatgap::frontends::torchscript
