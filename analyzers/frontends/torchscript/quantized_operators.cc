// Quantized operators of converted models, written as dequantize, float operator, quantize.
#include <ATen/native/quantized/PackedParams.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/torchscript/evaluator.h"

namespace qatgap::frontends::torchscript {
namespace {

using graph::OpKind;
using Inputs = Evaluator::Inputs;

// Output of a quantized operator: codes of the same type as its input `x`.
Slot Requantize(Evaluator& e, graph::ValueId real, const Slot& x, const Slot& scale, const Slot& zero_point) {
  return e.EmitQuantize(real, e.Concrete(scale, "output scale").toDouble(), e.Int(zero_point, "output zero point"),
                        std::get<Symbol>(x).is_signed);
}

graph::ValueId Dequantized(Evaluator& e, const Slot& x) { return e.Emit(OpKind::kDequantize, {e.Codes(x)}); }

Slot Product(Evaluator& e, const Inputs& in, OpKind kind, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
             graph::Attributes attributes, bool relu) {
  std::vector<graph::ValueId> operands{Dequantized(e, in[0]), e.QuantizedConstant(weight)};
  if (bias && bias->defined()) operands.push_back(e.Constant(*bias));
  graph::ValueId value = e.Emit(kind, std::move(operands), std::move(attributes));
  if (relu) value = e.Emit(OpKind::kRelu, {value});
  return Requantize(e, value, in[0], in[2], in[3]);
}

// conv(x, packed, output_scale, output_zero_point)
template <int kAxes, bool kRelu>
Slot Conv(Evaluator& e, const Inputs& in) {
  const auto packed = e.Concrete(in[1], "packed weight").toCustomClass<ConvPackedParamsBase<kAxes>>();
  const auto [weight, bias] = packed->unpack();
  graph::ConvolutionAttributes attributes{.stride = packed->stride().vec(),
                                          .padding = packed->padding().vec(),
                                          .dilation = packed->dilation().vec(),
                                          .groups = packed->groups(),
                                          .transposed = packed->transpose(),
                                          .output_padding = packed->output_padding().vec()};
  if (!attributes.transposed) attributes.output_padding.clear();
  return Product(e, in, OpKind::kConvolution, weight, bias, std::move(attributes), kRelu);
}

// conv1d(x, packed, output_scale, output_zero_point): packed as a convolution of height 1.
template <bool kRelu>
Slot Conv1d(Evaluator& e, const Inputs& in) {
  const auto packed = e.Concrete(in[1], "packed weight").toCustomClass<ConvPackedParamsBase<2>>();
  if (packed->transpose()) e.Refuse("a transposed quantized conv1d", "write it as conv_transpose2d");
  const auto [weight, bias] = packed->unpack();
  const auto width = [](const auto& of_height_and_width) { return std::vector<std::int64_t>{of_height_and_width.get(1)}; };
  graph::ConvolutionAttributes attributes{.stride = width(packed->stride()),
                                          .padding = width(packed->padding()),
                                          .dilation = width(packed->dilation()),
                                          .groups = packed->groups(),
                                          .transposed = false,
                                          .output_padding = {}};
  return Product(e, in, OpKind::kConvolution, weight.squeeze(2), bias, std::move(attributes), kRelu);
}

// linear(x, packed, output_scale, output_zero_point)
template <bool kRelu>
Slot Linear(Evaluator& e, const Inputs& in) {
  const auto packed = e.Concrete(in[1], "packed weight").toCustomClass<LinearPackedParamsBase>();
  const auto [weight, bias] = packed->unpack();
  return Product(e, in, OpKind::kLinear, weight, bias, {}, kRelu);
}

// add(a, b, scale, zero_point) and its like
template <OpKind kKind, bool kRelu>
Slot Binary(Evaluator& e, const Inputs& in) {
  if (in.size() != 4) e.Refuse("a quantized operator with a number as operand", "use a quantized tensor");
  graph::ValueId value = e.Emit(kKind, {Dequantized(e, in[0]), Dequantized(e, in[1])});
  if (kRelu) value = e.Emit(OpKind::kRelu, {value});
  return Requantize(e, value, in[0], in[2], in[3]);
}

// cat(tensors, dim, scale, zero_point)
template <bool kRelu>
Slot Concat(Evaluator& e, const Inputs& in) {
  const std::vector<Slot> items = e.Items(in[0], "tensors");
  if (items.empty()) e.Refuse("a cat of nothing", "export the model again");
  std::vector<graph::ValueId> operands;
  for (const Slot& item : items) operands.push_back(Dequantized(e, item));
  graph::ValueId value = e.Emit(OpKind::kConcat, std::move(operands), graph::AxisAttributes{e.Int(in[1], "dim")});
  if (kRelu) value = e.Emit(OpKind::kRelu, {value});
  return Requantize(e, value, items[0], in[2], in[3]);
}

// hardswish(x, scale, zero_point)
Slot Hardswish(Evaluator& e, const Inputs& in) {
  return Requantize(e, e.Emit(OpKind::kHardswish, {Dequantized(e, in[0])}), in[0], in[1], in[2]);
}

double Number(const c10::IValue& value) {
  return value.isTensor() ? value.toTensor().item<double>() : value.toScalar().toDouble();
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

Slot Dequantize(Evaluator& e, const Inputs& in) {
  return Symbol{Dequantized(e, in[0])};
}

constexpr std::array<std::pair<std::string_view, Evaluator::Handler>, 18> kOperators = {{
    {"quantized::conv1d", Conv1d<false>},
    {"quantized::conv1d_relu", Conv1d<true>},
    {"quantized::conv2d", Conv<2, false>},
    {"quantized::conv2d_relu", Conv<2, true>},
    {"quantized::conv3d", Conv<3, false>},
    {"quantized::conv3d_relu", Conv<3, true>},
    {"quantized::conv_transpose2d", Conv<2, false>},
    {"quantized::linear", Linear<false>},
    {"quantized::linear_relu", Linear<true>},
    {"quantized::add", Binary<OpKind::kAdd, false>},
    {"quantized::add_relu", Binary<OpKind::kAdd, true>},
    {"quantized::mul", Binary<OpKind::kMul, false>},
    {"quantized::mul_relu", Binary<OpKind::kMul, true>},
    {"quantized::cat", Concat<false>},
    {"quantized::cat_relu", Concat<true>},
    {"quantized::hardswish", Hardswish},
    {"aten::quantize_per_tensor", Quantize},
    {"aten::dequantize", Dequantize},
}};

}  // namespace

Evaluator::Handler FindQuantizedOperator(std::string_view name) {
  const auto it = std::find_if(kOperators.begin(), kOperators.end(), [&](const auto& entry) { return entry.first == name; });
  return it == kOperators.end() ? nullptr : it->second;
}

}  // namespace qatgap::frontends::torchscript
