// Quantized operators (QLinearConv, com.microsoft.QLinearAdd, ...), written as dequantize, float operator, quantize.
#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/onnx/mac_operators.h"
#include "analyzers/frontends/onnx/quant_inputs.h"
#include "analyzers/frontends/onnx/shape_arithmetic.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::frontends::onnx {
namespace {

using graph::OpKind;
using graph::TensorArgument;
using graph::ValueId;
using numerics::QuantParams;

// The output on the grid of (scale, zero point) from input `first` on.
Results Requantize(Importer& importer, const NodeView& node, const Symbol& real, std::size_t first) {
  const int type = TypeOfZeroPoint(node, first + 1, element::kUint8);
  QATGAP_ASSIGN_OR_RETURN(QuantParams params, ParamsFrom(node, first, first + 1, type, 1, real.shape));
  importer.set_saw_quantized_operator();
  return One(importer.Quantize(real.value, std::move(params), type, real.shape));
}

struct Weight {
  Symbol real;
  QuantParams params;
};
// (codes, scale, zero point) from input `first` on; scales along `axis`.
absl::StatusOr<Weight> ConstantWeight(Importer& importer, const NodeView& node, std::size_t first, std::int64_t axis) {
  const auto* literal = std::get_if<Literal>(&node.in(first));
  if (literal == nullptr)
    return node.Refuse("its weight is not a constant", "export the model in quantize/dequantize form");
  Weight weight;
  QATGAP_ASSIGN_OR_RETURN(weight.params,
                          ParamsFrom(node, first + 1, first + 2, literal->type, axis, literal->value.shape()));
  QATGAP_ASSIGN_OR_RETURN(weight.real, DequantizedConstant(importer, node, *literal, weight.params));
  return weight;
}

// An int32 bias of scale s_x * s_w[c], the exact product, and zero point 0.
absl::StatusOr<std::optional<ValueId>> StoredBias(Importer& importer, const NodeView& node, std::size_t i,
                                                  double input_scale, const QuantParams& weight) {
  if (!node.has(i)) return std::optional<ValueId>();
  const auto* literal = std::get_if<Literal>(&node.in(i));
  if (literal == nullptr || literal->type != element::kInt32 || literal->value.shape().size() != 1) {
    return node.Refuse("its bias is not an int32 constant of one axis", "export the model in quantize/dequantize form");
  }
  const CodeRange range = *CodeRangeOf(element::kInt32);
  QuantParams params{.scales = {}, .zero_points = {}, .quant_min = range.min, .quant_max = range.max};
  for (const double scale : weight.scales) params.scales.push_back(input_scale * scale);
  params.zero_points.assign(params.scales.size(), 0);
  if (params.scales.size() > 1) {
    params.axis = 0;
    if (static_cast<std::int64_t>(params.scales.size()) != literal->value.elements())
      return node.Broken("has a bias for another number of channels");
  }
  QATGAP_RETURN_IF_ERROR(numerics::Validate(params, "its bias"));
  return std::optional<ValueId>(importer.Dequantize(importer.CodeConstant(literal->value, std::move(params))));
}

absl::StatusOr<double> InputScale(const Importer& importer, const NodeView& node, std::size_t i) {
  return importer.KnownNumber(node, i, "input scale");
}

// QLinearConv(x, s, z, w, s, z, y_scale, y_zero_point, bias)
Results QLinearConv(Importer& importer, const NodeView& node) {
  if (node.Int("channels_last", 0) != 0)
    return node.Refuse("has its channels last", "export the model with channels first");
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, DequantizedInput(importer, node, 0));
  QATGAP_ASSIGN_OR_RETURN(const Weight weight, ConstantWeight(importer, node, 3, 0));
  QATGAP_ASSIGN_OR_RETURN(const double scale, InputScale(importer, node, 1));
  QATGAP_ASSIGN_OR_RETURN(const auto bias, StoredBias(importer, node, 8, scale, weight.params));
  QATGAP_ASSIGN_OR_RETURN(const Symbol y, Convolve(importer, node, x, weight.real, bias));
  return Requantize(importer, node, y, 6);
}

// QLinearMatMul(a, s, z, b, s, z, y_scale, y_zero_point)
Results QLinearMatMul(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol a, DequantizedInput(importer, node, 0));
  Symbol b;
  if (std::holds_alternative<Literal>(node.in(3))) {
    QATGAP_ASSIGN_OR_RETURN(const Weight weight, ConstantWeight(importer, node, 3, -1));
    b = weight.real;
  } else {
    QATGAP_ASSIGN_OR_RETURN(b, DequantizedInput(importer, node, 3));
  }
  QATGAP_ASSIGN_OR_RETURN(const Symbol y, Multiply(importer, node, a, b, std::nullopt));
  return Requantize(importer, node, y, 6);
}

// QGemm(a, s, z, b, s, z, bias, y_scale, y_zero_point); without y_scale the output is real.
Results QGemm(Importer& importer, const NodeView& node) {
  if (node.Float("alpha", 1.0F) != 1.0F || node.Int("transA", 0) != 0) {
    return node.Refuse("has an alpha or a transposed first operand", "export the model in quantize/dequantize form");
  }
  QATGAP_ASSIGN_OR_RETURN(const Symbol a, DequantizedInput(importer, node, 0));
  const bool transposed = node.Int("transB", 0) != 0;
  QATGAP_ASSIGN_OR_RETURN(Weight weight, ConstantWeight(importer, node, 3, transposed ? 0 : 1));
  if (RankOf(weight.real.shape) != 2) return node.Broken("multiplies what is no matrix");
  if (transposed) {
    weight.real.value = importer.PermuteConstant(weight.real.value, {1, 0});
    std::swap((*weight.real.shape)[0], (*weight.real.shape)[1]);
  }
  QATGAP_ASSIGN_OR_RETURN(const double scale, InputScale(importer, node, 1));
  QATGAP_ASSIGN_OR_RETURN(const auto bias, StoredBias(importer, node, 6, scale, weight.params));
  QATGAP_ASSIGN_OR_RETURN(Symbol y, Multiply(importer, node, a, weight.real, bias));
  importer.set_saw_quantized_operator();
  if (!node.has(7)) return One(std::move(y));
  return Requantize(importer, node, y, 7);
}

// QLinearAdd(a, s, z, b, s, z, y_scale, y_zero_point)
template <OpKind kKind>
Results QLinearBinary(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol a, DequantizedInput(importer, node, 0));
  QATGAP_ASSIGN_OR_RETURN(const Symbol b, DequantizedInput(importer, node, 3));
  const Symbol y{.value = importer.Emit(kKind, {a.value, b.value}), .shape = BroadcastShape(a.shape, b.shape)};
  return Requantize(importer, node, y, 6);
}

// QLinearConcat(y_scale, y_zero_point, (x, s, z)...)
Results QLinearConcat(Importer& importer, const NodeView& node) {
  std::vector<ValueId> parts;
  MaybeShape shape;
  std::int64_t extent = 0;
  const std::int64_t axis = node.Int("axis", 1);
  if (node.size() < 5 || node.size() % 3 != 2) return node.Broken(absl::StrCat("has ", node.size(), " inputs"));
  for (std::size_t i = 2; i < node.size(); i += 3) {
    QATGAP_ASSIGN_OR_RETURN(const Symbol x, DequantizedInput(importer, node, i));
    parts.push_back(x.value);
    const auto normal = NormalAxis(axis, x.shape);
    const std::int64_t own = x.shape && normal ? (*x.shape)[static_cast<std::size_t>(*normal)] : kUnknown;
    extent = own < 0 || extent < 0 ? kUnknown : extent + own;
    shape = normal ? x.shape : std::nullopt;
    if (shape) (*shape)[static_cast<std::size_t>(*normal)] = extent;
  }
  const Symbol y{.value = importer.Emit(OpKind::kConcat, std::move(parts), graph::AxisAttributes{axis}),
                 .shape = std::move(shape)};
  return Requantize(importer, node, y, 0);
}

// Operators of one tensor: (x, s, z, y_scale, y_zero_point)
using RealOperator = absl::StatusOr<Symbol> (*)(Importer&, const NodeView&, const Symbol&);
template <RealOperator kOperator>
Results QLinearUnary(Importer& importer, const NodeView& node) {
  if (node.Int("channels_last", 0) != 0)
    return node.Refuse("has its channels last", "export the model with channels first");
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, DequantizedInput(importer, node, 0));
  QATGAP_ASSIGN_OR_RETURN(const Symbol y, kOperator(importer, node, x));
  return Requantize(importer, node, y, 3);
}

absl::StatusOr<Symbol> LeakyReluOf(Importer& importer, const NodeView& node, const Symbol& x) {
  const double alpha = static_cast<double>(node.Float("alpha", 0.01F));
  return Symbol{.value = importer.Call("aten::leaky_relu", "", {x.value}, {TensorArgument{0}, alpha}),
                .shape = x.shape};
}

absl::StatusOr<Symbol> SigmoidOf(Importer& importer, const NodeView&, const Symbol& x) {
  return Symbol{.value = importer.Emit(OpKind::kSigmoid, {x.value}), .shape = x.shape};
}

absl::StatusOr<Symbol> SoftmaxOf(Importer& importer, const NodeView& node, const Symbol& x) {
  const std::int64_t axis = node.Int("axis", -1);
  const bool last = axis == -1 || (x.shape && axis + 1 == static_cast<std::int64_t>(x.shape->size()));
  if (node.Int("opset", 13) < 13 && !last)
    return node.Refuse("normalises several axes at once", "export with opset 13 or newer");
  return Symbol{.value = importer.Call("aten::softmax", "int", {x.value}, {TensorArgument{0}, axis}), .shape = x.shape};
}

constexpr std::array<std::pair<std::string_view, Importer::Handler>, 11> kOperators = {{
    {"QLinearConv", QLinearConv},
    {"QLinearMatMul", QLinearMatMul},
    {"QGemm", QGemm},
    {"QLinearAdd", QLinearBinary<OpKind::kAdd>},
    {"QLinearMul", QLinearBinary<OpKind::kMul>},
    {"QLinearConcat", QLinearConcat},
    {"QLinearAveragePool", QLinearUnary<AveragePoolOf>},
    {"QLinearGlobalAveragePool", QLinearUnary<GlobalAveragePoolOf>},
    {"QLinearLeakyRelu", QLinearUnary<LeakyReluOf>},
    {"QLinearSigmoid", QLinearUnary<SigmoidOf>},
    {"QLinearSoftmax", QLinearUnary<SoftmaxOf>},
}};

}  // namespace

Importer::Handler FindQuantizedOperator(std::string_view op_type) {
  const auto it =
      std::find_if(kOperators.begin(), kOperators.end(), [&](const auto& entry) { return entry.first == op_type; });
  return it == kOperators.end() ? nullptr : it->second;
}

}  // namespace qatgap::frontends::onnx
