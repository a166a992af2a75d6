// QuantizeLinear, DequantizeLinear, and the Clip between them that narrows a range.
#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/onnx/quant_inputs.h"
#include "analyzers/numerics/fake_quantize.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::onnx {

using graph::OpKind;
using numerics::QuantParams;

absl::StatusOr<QuantParams> ParamsFrom(const NodeView& node, std::size_t scale, std::size_t zero_point, int type,
                                       std::int64_t axis, const MaybeShape& shape) {
  const auto* scales = std::get_if<Literal>(&node.in(scale));
  if (scales == nullptr || !IsReal(scales->type)) {
    return node.Refuse("its scale is not a constant",
                       "freeze the quantizers before export (dynamic quantization has no fixed grid)");
  }
  const auto range = CodeRangeOf(type);
  if (!range) return node.Refuse(absl::StrCat("its codes are ", ElementName(type)), "use integers of 4 to 32 bits");
  QuantParams params{.scales = {}, .zero_points = {}, .quant_min = range->min, .quant_max = range->max};
  for (const float value : scales->value.data<float>()) params.scales.push_back(static_cast<double>(value));
  if (node.has(zero_point)) {
    const auto* literal = std::get_if<Literal>(&node.in(zero_point));
    const auto integers = literal == nullptr ? std::nullopt : Integers(*literal);
    if (!integers)
      return node.Refuse("its zero point is not a constant integer", "freeze the quantizers before export");
    if (literal->type != type) {
      return node.Broken(
          absl::StrCat("its zero point is ", ElementName(literal->type), ", its codes are ", ElementName(type)));
    }
    params.zero_points = *integers;
  } else {
    params.zero_points.assign(params.scales.size(), 0);
  }
  if (params.zero_points.size() == 1 && params.scales.size() > 1)
    params.zero_points.assign(params.scales.size(), params.zero_points[0]);
  if (params.scales.empty() || scales->value.shape().size() > 1) {
    return node.Refuse(absl::StrCat("its scales are of shape ", graph::ToString(scales->value.shape())),
                       "quantize per tensor or per channel, not in blocks");
  }
  if (params.scales.size() > 1) {
    const auto normal = NormalAxis(axis, shape);
    if (!normal) return node.Broken(absl::StrCat("is quantized along axis ", axis, ", which its input does not have"));
    params.axis = static_cast<int>(*normal);
    const std::int64_t extent = shape ? (*shape)[static_cast<std::size_t>(*normal)] : -1;
    if (extent >= 0 && extent != static_cast<std::int64_t>(params.scales.size())) {
      return node.Broken(absl::StrCat("has ", params.scales.size(), " scales for ", extent, " channels"));
    }
  }
  QATGAP_RETURN_IF_ERROR(numerics::Validate(params, "its quantization"));
  return params;
}

int TypeOfZeroPoint(const NodeView& node, std::size_t zero_point, int fallback) {
  const auto* literal = std::get_if<Literal>(&node.in(zero_point));
  return literal == nullptr ? fallback : literal->type;
}

absl::StatusOr<Symbol> DequantizedConstant(Importer& importer, const NodeView&, const Literal& codes,
                                           QuantParams params) {
  if (codes.type != element::kInt32) importer.set_saw_integer_weight();
  if (codes.range) {
    params.quant_min = codes.range->min;
    params.quant_max = codes.range->max;
    QATGAP_RETURN_IF_ERROR(numerics::Validate(params, "its range"));
  }
  const graph::ValueId constant = importer.CodeConstant(codes.value, std::move(params));
  return Symbol{.value = importer.Dequantize(constant), .type = element::kFloat, .shape = codes.value.shape()};
}

namespace {

// The scale and zero point that codes are read with must be those they were made with.
absl::Status CheckSameGrid(const NodeView& node, const QuantParams& made, const QuantParams& read) {
  if (made.scales == read.scales && made.zero_points == read.zero_points && made.axis == read.axis)
    return absl::OkStatus();
  return node.Refuse(
      absl::StrCat("reads codes with ", numerics::ToString(read), " that were made with ", numerics::ToString(made)),
      "requantize with a DequantizeLinear and a QuantizeLinear");
}

// Codes that are a model input: real = (code - zero point) * scale, put on that grid, which is exact.
Symbol CodesOfIntegerInput(Importer& importer, const Symbol& input, const QuantParams& params) {
  const auto number = [&](double value) {
    return importer.Constant(graph::Tensor::Of<float>({}, std::array{static_cast<float>(value)}));
  };
  graph::ValueId real = importer.Call("aten::to", "dtype", {input.value}, {graph::TensorArgument{0}, std::int64_t{6}});
  real = importer.Emit(OpKind::kSub, {real, number(static_cast<double>(params.zero_point()))});
  real = importer.Emit(OpKind::kMul, {real, number(params.scale())});
  return importer.Quantize(real, params, input.type, input.shape);
}

absl::StatusOr<Symbol> Dequantized(Importer& importer, const NodeView& node, std::size_t first, std::int64_t axis) {
  if (const auto* literal = std::get_if<Literal>(&node.in(first))) {
    QATGAP_ASSIGN_OR_RETURN(QuantParams params,
                            ParamsFrom(node, first + 1, first + 2, literal->type, axis, literal->value.shape()));
    return DequantizedConstant(importer, node, *literal, std::move(params));
  }
  const auto* symbol = std::get_if<Symbol>(&node.in(first));
  if (symbol == nullptr) return node.Broken("has no codes to dequantize");
  QATGAP_ASSIGN_OR_RETURN(const QuantParams params,
                          ParamsFrom(node, first + 1, first + 2, symbol->type, axis, symbol->shape));
  Symbol codes = *symbol;
  if (codes.codes == nullptr) {
    if (IsReal(codes.type)) return node.Broken("dequantizes a real value");
    if (params.per_channel())
      return node.Refuse("dequantizes integers per channel that no QuantizeLinear made", "quantize per tensor");
    codes = CodesOfIntegerInput(importer, codes, params);
  } else {
    QATGAP_RETURN_IF_ERROR(CheckSameGrid(node, *codes.codes, params));
  }
  return Symbol{.value = importer.Dequantize(codes.value), .type = element::kFloat, .shape = codes.shape};
}

// Dequantized integers as plain reals: a tool that takes a copied weight for an activation quantizes it once more.
graph::ValueId WithoutOwnGrid(Importer& importer, graph::ValueId real) {
  const graph::Node* dequantize = importer.graph().producer(real);
  if (dequantize == nullptr || dequantize->kind != OpKind::kDequantize) return real;
  const graph::Node* codes = importer.graph().producer(dequantize->inputs[0]);
  if (codes == nullptr || codes->kind != OpKind::kConstant) return real;
  const auto constant = std::get<graph::ConstantAttributes>(codes->attributes);
  graph::Tensor reals(graph::DType::kFloat32, constant.value.shape());
  const numerics::ChannelExtents e = numerics::ExtentsAlong(constant.value.shape(), *constant.qparams);
  numerics::DequantizeCodes(constant.value.data<std::int32_t>(), *constant.qparams, e.outer, e.channels, e.inner,
                            reals.mutable_data<float>());
  return importer.Constant(std::move(reals));
}

// QuantizeLinear(x, scale, zero point)
Results QuantizeLinear(Importer& importer, const NodeView& node) {
  if (node.Int("block_size", 0) != 0) return node.Refuse("quantizes in blocks", "quantize per tensor or per channel");
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  const auto wanted = static_cast<int>(node.Int("output_dtype", 0));
  const int type = TypeOfZeroPoint(node, 2, wanted != 0 ? wanted : element::kUint8);
  QATGAP_ASSIGN_OR_RETURN(QuantParams params, ParamsFrom(node, 1, 2, type, node.Int("axis", 1), x.shape));
  importer.set_saw_quantize();
  return One(importer.Quantize(WithoutOwnGrid(importer, x.value), std::move(params), type, x.shape));
}

// DequantizeLinear(codes, scale, zero point)
Results DequantizeLinear(Importer& importer, const NodeView& node) {
  if (node.Int("block_size", 0) != 0) return node.Refuse("dequantizes in blocks", "quantize per tensor or per channel");
  QATGAP_ASSIGN_OR_RETURN(Symbol real, Dequantized(importer, node, 0, node.Int("axis", 1)));
  return One(std::move(real));
}

// The bounds of a Clip on codes: inputs 1 and 2, either may be missing.
absl::StatusOr<CodeRange> CodeBounds(const Importer& importer, const NodeView& node, CodeRange bounds) {
  if (node.has(1)) {
    QATGAP_ASSIGN_OR_RETURN(const double low, importer.KnownNumber(node, 1, "lower bound"));
    bounds.min = std::max(bounds.min, static_cast<std::int64_t>(low));
  }
  if (node.has(2)) {
    QATGAP_ASSIGN_OR_RETURN(const double high, importer.KnownNumber(node, 2, "upper bound"));
    bounds.max = std::min(bounds.max, static_cast<std::int64_t>(high));
  }
  if (bounds.min >= bounds.max) return node.Broken(absl::StrCat("clips codes to ", bounds.min, "..", bounds.max));
  return bounds;
}

// clamp(clamp(c, a, b), low, high) is one clamp: the quantize node in front gets the narrower range.
Results ClipCodes(Importer& importer, const NodeView& node, const Symbol& codes) {
  const graph::Node* quantize = importer.graph().producer(codes.value);
  if (quantize == nullptr || quantize->kind != OpKind::kQuantize) {
    return node.Refuse("clips codes that no QuantizeLinear made", "put the Clip right behind the QuantizeLinear");
  }
  QuantParams params = *codes.codes;
  QATGAP_ASSIGN_OR_RETURN(const CodeRange bounds, CodeBounds(importer, node, {params.quant_min, params.quant_max}));
  params.quant_min = bounds.min;
  params.quant_max = bounds.max;
  QATGAP_RETURN_IF_ERROR(numerics::Validate(params, "the range that it narrows"));
  const graph::ValueId real = quantize->inputs[0];
  return One(importer.Quantize(real, std::move(params), codes.type, codes.shape));
}

Results ClipIntegerLiteral(const Importer& importer, const NodeView& node, const Literal& literal) {
  const auto range = CodeRangeOf(literal.type);
  if (!range)
    return node.Refuse(absl::StrCat("clips constants of ", ElementName(literal.type)), "fold constants before export");
  QATGAP_ASSIGN_OR_RETURN(const CodeRange bounds, CodeBounds(importer, node, literal.range.value_or(*range)));
  Literal clipped{
      .type = literal.type, .value = graph::Tensor(graph::DType::kInt32, literal.value.shape()), .range = bounds};
  const auto from = literal.value.data<std::int32_t>();
  std::transform(from.begin(), from.end(), clipped.value.mutable_data<std::int32_t>().begin(), [&](std::int32_t v) {
    return static_cast<std::int32_t>(std::clamp<std::int64_t>(v, bounds.min, bounds.max));
  });
  return One(std::move(clipped));
}

Results Clip(Importer& importer, const NodeView& node) {
  if (const auto* symbol = std::get_if<Symbol>(&node.in(0)); symbol != nullptr && symbol->codes != nullptr) {
    return ClipCodes(importer, node, *symbol);
  }
  if (const auto* literal = std::get_if<Literal>(&node.in(0)); literal != nullptr && !IsReal(literal->type)) {
    return ClipIntegerLiteral(importer, node, *literal);
  }
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  std::optional<double> low, high;
  if (node.has(1)) {
    QATGAP_ASSIGN_OR_RETURN(low, importer.KnownNumber(node, 1, "lower bound"));
  }
  if (node.has(2)) {
    QATGAP_ASSIGN_OR_RETURN(high, importer.KnownNumber(node, 2, "upper bound"));
  }
  const double infinity = std::numeric_limits<double>::infinity();
  Symbol result{.value = x.value, .type = x.type, .shape = x.shape};
  if (low == 0.0 && !high) {
    result.value = importer.Emit(OpKind::kRelu, {x.value});
  } else if (low || high) {
    result.value = importer.Emit(OpKind::kClamp, {x.value},
                                 graph::ClampAttributes{low.value_or(-infinity), high.value_or(infinity)});
  }
  return One(std::move(result));
}

Results DynamicQuantization(Importer&, const NodeView& node) {
  return node.Refuse("quantizes with ranges found when it runs, so that there is no fixed grid to compare with",
                     "quantize statically (onnxruntime.quantization.quantize_static)");
}

Results IntegerProduct(Importer&, const NodeView& node) {
  return node.Refuse("gives int32 accumulators without an output grid",
                     "export in quantize/dequantize form, or with QLinearConv and QLinearMatMul");
}

constexpr std::array<std::pair<std::string_view, Importer::Handler>, 8> kOperators = {{
    {"QuantizeLinear", QuantizeLinear},
    {"DequantizeLinear", DequantizeLinear},
    {"Clip", Clip},
    {"DynamicQuantizeLinear", DynamicQuantization},
    {"DynamicQuantizeMatMul", DynamicQuantization},
    {"MatMulIntegerToFloat", DynamicQuantization},
    {"ConvInteger", IntegerProduct},
    {"MatMulInteger", IntegerProduct},
}};

}  // namespace

absl::StatusOr<Symbol> DequantizedInput(Importer& importer, const NodeView& node, std::size_t first) {
  return Dequantized(importer, node, first, 1);
}

Importer::Handler FindQuantizationOperator(std::string_view op_type) {
  const auto it =
      std::find_if(kOperators.begin(), kOperators.end(), [&](const auto& entry) { return entry.first == op_type; });
  return it == kOperators.end() ? nullptr : it->second;
}

}  // namespace qatgap::frontends::onnx
