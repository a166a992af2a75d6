#include "analyzers/frontends/onnx/mac_operators.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::frontends::onnx {

using graph::OpKind;
using graph::ValueId;

absl::StatusOr<Symbol> Convolve(Importer& importer, const NodeView& node, const Symbol& x, const Symbol& weight,
                                std::optional<ValueId> bias) {
  if (!weight.shape || weight.shape->size() < 3 || weight.shape->size() > 5 ||
      std::any_of(weight.shape->begin(), weight.shape->end(), [](std::int64_t extent) { return extent < 1; })) {
    return node.Refuse("its weight is not a constant of three to five axes", "export the model with constant weights");
  }
  const graph::Shape& shape = *weight.shape;
  const std::vector<std::int64_t> kernel(shape.begin() + 2, shape.end());
  if (node.HasAttribute("kernel_shape") && node.Ints("kernel_shape") != kernel) {
    return node.Broken(absl::StrCat("its kernel_shape is not that of its weight ", graph::ToString(shape)));
  }
  const std::int64_t groups = node.Int("group", 1);
  if (groups < 1 || shape[0] % groups != 0)
    return node.Broken(absl::StrCat("has ", shape[0], " output channels in ", groups, " groups"));
  QATGAP_ASSIGN_OR_RETURN(const Window window, WindowOf(node, kernel, x.shape));
  ValueId input = x.value;
  std::vector<std::int64_t> padding = window.begin;
  if (!window.symmetric()) {  // LibTorch's convolution pads both sides alike
    input = PadSpatially(importer, input, window, 0);
    std::fill(padding.begin(), padding.end(), 0);
  }
  std::vector<ValueId> operands{input, weight.value};
  if (bias) operands.push_back(*bias);
  const ValueId result = importer.Emit(OpKind::kConvolution, std::move(operands),
                                       graph::ConvolutionAttributes{.stride = window.stride,
                                                                    .padding = padding,
                                                                    .dilation = window.dilation,
                                                                    .groups = groups,
                                                                    .transposed = false,
                                                                    .output_padding = {}});
  return Symbol{.value = result, .shape = WindowShape(x.shape, window, shape[0], false)};
}

absl::StatusOr<Symbol> Multiply(Importer& importer, const NodeView& node, const Symbol& a, const Symbol& b,
                                std::optional<ValueId> bias) {
  Symbol result;
  if (importer.IsConstant(b.value) && !importer.IsConstant(a.value) && RankOf(b.shape) == 2) {
    if (a.shape && a.shape->empty()) return node.Broken("multiplies a scalar with a matrix");
    std::vector<ValueId> operands{a.value, importer.PermuteConstant(b.value, {1, 0})};
    if (bias) operands.push_back(*bias);
    result.value = importer.Emit(OpKind::kLinear, std::move(operands));
    result.shape = a.shape;
    if (result.shape) result.shape->back() = (*b.shape)[1];
    return result;
  }
  result.value =
      importer.Call("aten::matmul", "", {a.value, b.value}, {graph::TensorArgument{0}, graph::TensorArgument{1}});
  if (bias) result.value = importer.Emit(OpKind::kAdd, {result.value, *bias});
  if (a.shape && b.shape && a.shape->size() >= 2 && b.shape->size() >= 2) {
    const graph::Shape batch_a(a.shape->begin(), a.shape->end() - 2), batch_b(b.shape->begin(), b.shape->end() - 2);
    result.shape = BroadcastShape(batch_a, batch_b);
    result.shape->push_back((*a.shape)[a.shape->size() - 2]);
    result.shape->push_back(b.shape->back());
  }
  return result;
}

namespace {

absl::StatusOr<std::optional<ValueId>> OptionalOperand(Importer& importer, const NodeView& node, std::size_t i) {
  if (!node.has(i)) return std::optional<ValueId>();
  QATGAP_ASSIGN_OR_RETURN(const Symbol symbol, importer.Operand(node, i));
  return std::optional<ValueId>(symbol.value);
}

Results Conv(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  QATGAP_ASSIGN_OR_RETURN(const Symbol weight, importer.Operand(node, 1));
  QATGAP_ASSIGN_OR_RETURN(const std::optional<ValueId> bias, OptionalOperand(importer, node, 2));
  QATGAP_ASSIGN_OR_RETURN(Symbol y, Convolve(importer, node, x, weight, bias));
  return One(std::move(y));
}

Results ConvTranspose(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  QATGAP_ASSIGN_OR_RETURN(const Symbol weight, importer.Operand(node, 1));
  QATGAP_ASSIGN_OR_RETURN(const std::optional<ValueId> bias, OptionalOperand(importer, node, 2));
  if (!weight.shape || weight.shape->size() < 3 || weight.shape->size() > 5) {
    return node.Refuse("its weight is not a constant of three to five axes", "export the model with constant weights");
  }
  const std::string auto_pad = node.String("auto_pad", "NOTSET");
  if (node.HasAttribute("output_shape") || (auto_pad != "NOTSET" && auto_pad != "VALID")) {
    return node.Refuse("leaves its padding to be derived from an output shape", "give pads and output_padding");
  }
  const graph::Shape& shape = *weight.shape;
  QATGAP_ASSIGN_OR_RETURN(const Window window, WindowOf(node, {shape.begin() + 2, shape.end()}, x.shape));
  if (!window.symmetric())
    return node.Refuse("crops the two ends of an axis differently", "use equal pads and output_padding");
  std::vector<std::int64_t> output_padding = node.Ints("output_padding");
  if (output_padding.empty()) output_padding.assign(window.kernel.size(), 0);
  const std::int64_t groups = node.Int("group", 1);
  if (output_padding.size() != window.kernel.size() || groups < 1 || shape[0] % groups != 0) {
    return node.Broken("has groups or an output_padding that do not fit its weight");
  }
  std::vector<ValueId> operands{x.value, weight.value};
  if (bias) operands.push_back(*bias);
  Symbol y;
  y.value = importer.Emit(OpKind::kConvolution, std::move(operands),
                          graph::ConvolutionAttributes{.stride = window.stride,
                                                       .padding = window.begin,
                                                       .dilation = window.dilation,
                                                       .groups = groups,
                                                       .transposed = true,
                                                       .output_padding = std::move(output_padding)});
  y.shape = graph::Shape(shape.size(), -1);
  if (x.shape && !x.shape->empty()) y.shape->front() = x.shape->front();
  (*y.shape)[1] = shape[1] * groups;
  return One(std::move(y));
}

ValueId Scaled(Importer& importer, ValueId x, float factor) {
  if (factor == 1.0F) return x;
  return importer.Emit(OpKind::kMul, {x, importer.Constant(graph::Tensor::Of<float>({}, std::array{factor}))});
}

// y = alpha * a' * b' + beta * c
Results Gemm(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(Symbol a, importer.Operand(node, 0));
  QATGAP_ASSIGN_OR_RETURN(Symbol b, importer.Operand(node, 1));
  QATGAP_ASSIGN_OR_RETURN(const std::optional<ValueId> c, OptionalOperand(importer, node, 2));
  if ((a.shape && a.shape->size() != 2) || (b.shape && b.shape->size() != 2))
    return node.Broken("multiplies what are no matrices");
  const auto swapped = [](Symbol& matrix) {
    if (matrix.shape) std::swap((*matrix.shape)[0], (*matrix.shape)[1]);
  };
  if (node.Int("transA", 0) != 0) {
    a.value = importer.Emit(OpKind::kPermute, {a.value}, graph::SizesAttributes{{1, 0}});
    swapped(a);
  }
  if (node.Int("transB", 0) != 0) {
    b.value = importer.IsConstant(b.value) ? importer.PermuteConstant(b.value, {1, 0})
                                           : importer.Emit(OpKind::kPermute, {b.value}, graph::SizesAttributes{{1, 0}});
    swapped(b);
  }
  const float alpha = node.Float("alpha", 1.0F), beta = node.Float("beta", 1.0F);
  const MaybeShape c_shape = c ? ShapeOf(node.in(2)) : std::nullopt;
  const bool is_bias = c && alpha == 1.0F && beta == 1.0F && b.shape && c_shape == graph::Shape{(*b.shape)[1]};
  QATGAP_ASSIGN_OR_RETURN(Symbol y, Multiply(importer, node, a, b, is_bias ? c : std::nullopt));
  y.value = Scaled(importer, y.value, alpha);
  if (c && !is_bias && beta != 0.0F) y.value = importer.Emit(OpKind::kAdd, {y.value, Scaled(importer, *c, beta)});
  return One(std::move(y));
}

Results MatMul(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol a, importer.Operand(node, 0));
  QATGAP_ASSIGN_OR_RETURN(const Symbol b, importer.Operand(node, 1));
  QATGAP_ASSIGN_OR_RETURN(Symbol y, Multiply(importer, node, a, b, std::nullopt));
  return One(std::move(y));
}

Results BatchNormalization(Importer& importer, const NodeView& node) {
  if (node.Int("training_mode", 0) != 0)
    return node.Refuse("is in training mode", "call model.eval() before the export");
  std::vector<ValueId> operands;
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  operands.push_back(x.value);
  for (std::size_t i = 1; i < 5; ++i) {
    QATGAP_ASSIGN_OR_RETURN(const Symbol operand, importer.Operand(node, i));
    operands.push_back(operand.value);
  }
  return One(Symbol{.value = importer.Emit(OpKind::kBatchNorm, std::move(operands),
                                           graph::BatchNormAttributes{node.Decimal("epsilon", 1e-5F)}),
                    .shape = x.shape});
}

constexpr std::array<std::pair<std::string_view, Importer::Handler>, 5> kOperators = {{
    {"Conv", Conv},
    {"ConvTranspose", ConvTranspose},
    {"Gemm", Gemm},
    {"MatMul", MatMul},
    {"BatchNormalization", BatchNormalization},
}};

}  // namespace

Importer::Handler FindMacOperator(std::string_view op_type) {
  const auto it =
      std::find_if(kOperators.begin(), kOperators.end(), [&](const auto& entry) { return entry.first == op_type; });
  return it == kOperators.end() ? nullptr : it->second;
}

}  // namespace qatgap::frontends::onnx
