// Quantized convolutions and linears of converted models, written as dequantize, float operator, quantize.
#include <ATen/native/quantized/PackedParams.h>

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/torchscript/evaluator.h"

namespace qatgap::frontends::torchscript {
namespace {

using graph::OpKind;
using Inputs = Evaluator::Inputs;

enum class After { kNothing, kRelu };

graph::ValueId Product(Evaluator& e, const Slot& x, OpKind kind, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                       graph::Attributes attributes) {
  std::vector<graph::ValueId> operands{e.Dequantized(x), e.QuantizedConstant(weight)};
  if (bias && bias->defined()) operands.push_back(e.Constant(*bias));
  return e.Emit(kind, std::move(operands), std::move(attributes));
}

// Codes of the same type as the input.
Slot Requantize(Evaluator& e, graph::ValueId real, const Slot& x, const Slot& scale, const Slot& zero_point) {
  return e.EmitQuantize(real, e.Concrete(scale, "output scale").toDouble(), e.Int(zero_point, "output zero point"),
                        e.IsSigned(x));
}

Slot Finish(Evaluator& e, const Inputs& in, graph::ValueId value, After after) {
  if (after == After::kRelu) value = e.Emit(OpKind::kRelu, {value});
  return Requantize(e, value, in[0], in[2], in[3]);
}

// One-dimensional convolutions are packed with a height of 1; `axes` are those of the operator.
template <int kPacked>
graph::ValueId Convolve(Evaluator& e, const Slot& x, const Slot& packed_slot, std::size_t axes) {
  const auto packed = e.Concrete(packed_slot, "packed weight").toCustomClass<ConvPackedParamsBase<kPacked>>();
  const auto [weight, bias] = packed->unpack();
  const auto last = [&](const auto& list) {
    std::vector<std::int64_t> values = list.vec();
    values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() - axes));
    return values;
  };
  graph::ConvolutionAttributes attributes{.stride = last(packed->stride()),
                                          .padding = last(packed->padding()),
                                          .dilation = last(packed->dilation()),
                                          .groups = packed->groups(),
                                          .transposed = packed->transpose(),
                                          .output_padding = {}};
  if (attributes.transposed) attributes.output_padding = last(packed->output_padding());
  return Product(e, x, OpKind::kConvolution, axes == 1 ? weight.squeeze(2) : weight, bias, std::move(attributes));
}

// conv(x, packed, output_scale, output_zero_point), transposed or not
template <std::size_t kAxes, After kAfter>
Slot Conv(Evaluator& e, const Inputs& in) {
  if (in.size() != 4) e.Refuse("a quantized convolution of PyTorch before 1.6", "convert and export the model again");
  return Finish(e, in, Convolve<kAxes == 3 ? 3 : 2>(e, in[0], in[1], kAxes), kAfter);
}

// conv2d_add(x, addend, packed, output_scale, output_zero_point)
template <After kAfter>
Slot ConvAdd(Evaluator& e, const Inputs& in) {
  const graph::ValueId product = Convolve<2>(e, in[0], in[2], 2);
  graph::ValueId value = e.Emit(OpKind::kAdd, {product, e.Dequantized(in[1])});
  if (kAfter == After::kRelu) value = e.Emit(OpKind::kRelu, {value});
  return Requantize(e, value, in[0], in[3], in[4]);
}

graph::ValueId MakeLinear(Evaluator& e, const Inputs& in) {
  const auto packed = e.Concrete(in[1], "packed weight").toCustomClass<LinearPackedParamsBase>();
  const auto [weight, bias] = packed->unpack();
  return Product(e, in[0], OpKind::kLinear, weight, bias, {});
}

// linear(x, packed, output_scale, output_zero_point)
template <After kAfter>
Slot Linear(Evaluator& e, const Inputs& in) {
  return Finish(e, in, MakeLinear(e, in), kAfter);
}

// linear_leaky_relu(x, packed, output_scale, output_zero_point, negative_slope)
Slot LinearLeakyRelu(Evaluator& e, const Inputs& in) {
  const graph::ValueId value =
      e.EmitOperator("aten::leaky_relu", "", {MakeLinear(e, in)},
                     {graph::TensorArgument{0}, e.Concrete(in[4], "negative slope").toDouble()});
  return Requantize(e, value, in[0], in[2], in[3]);
}

// linear_tanh(x, packed, output_scale, output_zero_point)
Slot LinearTanh(Evaluator& e, const Inputs& in) {
  return Requantize(e, e.EmitOperator("aten::tanh", "", {MakeLinear(e, in)}, {graph::TensorArgument{0}}), in[0], in[2], in[3]);
}

constexpr std::array<std::pair<std::string_view, Evaluator::Handler>, 15> kOperators = {{
    {"quantized::conv1d", Conv<1, After::kNothing>},
    {"quantized::conv1d_relu", Conv<1, After::kRelu>},
    {"quantized::conv2d", Conv<2, After::kNothing>},
    {"quantized::conv2d_relu", Conv<2, After::kRelu>},
    {"quantized::conv2d_add", ConvAdd<After::kNothing>},
    {"quantized::conv2d_add_relu", ConvAdd<After::kRelu>},
    {"quantized::conv3d", Conv<3, After::kNothing>},
    {"quantized::conv3d_relu", Conv<3, After::kRelu>},
    {"quantized::conv_transpose1d", Conv<1, After::kNothing>},
    {"quantized::conv_transpose2d", Conv<2, After::kNothing>},
    {"quantized::conv_transpose3d", Conv<3, After::kNothing>},
    {"quantized::linear", Linear<After::kNothing>},
    {"quantized::linear_relu", Linear<After::kRelu>},
    {"quantized::linear_leaky_relu", LinearLeakyRelu},
    {"quantized::linear_tanh", LinearTanh},
}};

}  // namespace

Evaluator::Handler FindQuantizedMacOperator(std::string_view name) {
  for (const auto& [known, handler] : kOperators) {
    if (known == name) return handler;
  }
  return nullptr;
}

}  // namespace qatgap::frontends::torchscript
