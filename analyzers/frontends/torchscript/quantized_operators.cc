// Quantized operators of converted models, written as dequantize, float operator, quantize.
#include <ATen/native/quantized/PackedParams.h>
#include <ATen/ops/int_repr.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/execution/torch_bridge.h"
#include "analyzers/frontends/torchscript/evaluator.h"

namespace qatgap::frontends::torchscript {
namespace {

using graph::OpKind;
using Inputs = Evaluator::Inputs;

constexpr std::int64_t kQuint8Min = 0, kQuint8Max = 255;

// A packed weight (qint8, per tensor or per channel) as a code constant; returns its dequantized value.
graph::ValueId Weight(Evaluator& e, const at::Tensor& weight) {
  numerics::QuantParams params;
  params.quant_min = -128;
  params.quant_max = 127;
  if (weight.qscheme() == at::kPerTensorAffine || weight.qscheme() == at::kPerTensorSymmetric) {
    params.scales = {weight.q_scale()};
    params.zero_points = {weight.q_zero_point()};
  } else {
    const at::Tensor scales = weight.q_per_channel_scales().to(at::kDouble).contiguous();
    const at::Tensor zero_points = weight.q_per_channel_zero_points().to(at::kLong).contiguous();
    params.scales.assign(scales.const_data_ptr<double>(), scales.const_data_ptr<double>() + scales.numel());
    params.zero_points.assign(zero_points.const_data_ptr<std::int64_t>(),
                              zero_points.const_data_ptr<std::int64_t>() + zero_points.numel());
    params.axis = static_cast<int>(weight.q_per_channel_axis());
  }
  if (const absl::Status status = numerics::Validate(params, absl::StrCat("weight in module '", e.path(), "'")); !status.ok()) {
    throw ImportError(absl::FailedPreconditionError(status.message()));
  }
  auto codes = execution::FromTorch(at::int_repr(weight).to(at::kInt));
  if (!codes.ok()) throw ImportError(codes.status());
  return e.CodeConstant(*std::move(codes), std::move(params));
}

Slot Product(Evaluator& e, const Inputs& in, OpKind kind, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
             graph::Attributes attributes, bool relu) {
  std::vector<graph::ValueId> operands{e.Emit(OpKind::kDequantize, {e.Codes(in[0])}), Weight(e, weight)};
  if (bias && bias->defined()) operands.push_back(e.Constant(*bias));
  graph::ValueId value = e.Emit(kind, std::move(operands), std::move(attributes));
  if (relu) value = e.Emit(OpKind::kRelu, {value});
  return e.EmitQuantize(value, e.Concrete(in[2], "output scale").toDouble(), e.Int(in[3], "output zero point"),
                        kQuint8Min, kQuint8Max);
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
  graph::ValueId value = e.Emit(
      kKind, {e.Emit(OpKind::kDequantize, {e.Codes(in[0])}), e.Emit(OpKind::kDequantize, {e.Codes(in[1])})});
  if (kRelu) value = e.Emit(OpKind::kRelu, {value});
  return e.EmitQuantize(value, e.Concrete(in[2], "scale").toDouble(), e.Int(in[3], "zero point"), kQuint8Min, kQuint8Max);
}

// cat(tensors, dim, scale, zero_point)
Slot Concat(Evaluator& e, const Inputs& in) {
  std::vector<graph::ValueId> operands;
  for (const Slot& item : e.Items(in[0], "tensors")) operands.push_back(e.Emit(OpKind::kDequantize, {e.Codes(item)}));
  const graph::ValueId value = e.Emit(OpKind::kConcat, std::move(operands), graph::AxisAttributes{e.Int(in[1], "dim")});
  return e.EmitQuantize(value, e.Concrete(in[2], "scale").toDouble(), e.Int(in[3], "zero point"), kQuint8Min, kQuint8Max);
}

// hardswish(x, scale, zero_point)
Slot Hardswish(Evaluator& e, const Inputs& in) {
  const graph::ValueId value = e.Emit(OpKind::kHardswish, {e.Emit(OpKind::kDequantize, {e.Codes(in[0])})});
  return e.EmitQuantize(value, e.Concrete(in[1], "scale").toDouble(), e.Int(in[2], "zero point"), kQuint8Min, kQuint8Max);
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
  const bool is_signed = dtype == at::kQInt8;
  return e.EmitQuantize(e.Real(in[0]), Number(e.Concrete(in[1], "scale")),
                        static_cast<std::int64_t>(Number(e.Concrete(in[2], "zero point"))), is_signed ? -128 : 0,
                        is_signed ? 127 : 255);
}

Slot Dequantize(Evaluator& e, const Inputs& in) {
  return Symbol{e.Emit(OpKind::kDequantize, {e.Codes(in[0])}), false};
}

constexpr std::array<std::pair<std::string_view, Evaluator::Handler>, 15> kOperators = {{
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
    {"quantized::cat", Concat},
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
