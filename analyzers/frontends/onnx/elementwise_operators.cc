#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/onnx/importer.h"
#include "analyzers/frontends/onnx/shape_arithmetic.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::frontends::onnx {
namespace {

using graph::OpKind;
using graph::TensorArgument;
using graph::ValueId;

ValueId Number(Importer& importer, float value) {
  return importer.Constant(graph::Tensor::Of<float>({}, std::array{value}));
}

Symbol Like(const Symbol& x, ValueId value) { return {.value = value, .type = x.type, .shape = x.shape}; }

template <OpKind kKind>
Results Unary(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  return One(Like(x, importer.Emit(kKind, {x.value})));
}

// Operators of one tensor that LibTorch has under another name.
struct Named {
  std::string_view onnx, torch;
};
constexpr std::array kUnary = std::to_array<Named>({
    {"Abs", "aten::abs"},     {"Acos", "aten::acos"},   {"Asin", "aten::asin"},   {"Atan", "aten::atan"},
    {"Ceil", "aten::ceil"},   {"Cos", "aten::cos"},     {"Cosh", "aten::cosh"},   {"Erf", "aten::erf"},
    {"Exp", "aten::exp"},     {"Floor", "aten::floor"}, {"Log", "aten::log"},     {"Mish", "aten::mish"},
    {"Neg", "aten::neg"},     {"Round", "aten::round"}, {"Sign", "aten::sign"},   {"Sin", "aten::sin"},
    {"Sinh", "aten::sinh"},   {"Sqrt", "aten::sqrt"},   {"Tan", "aten::tan"},     {"Tanh", "aten::tanh"},
    {"Reciprocal", "aten::reciprocal"},
});

Results NamedUnary(Importer& importer, const NodeView& node) {
  const std::string op = OperatorTypeOf(node);
  const auto it = std::find_if(kUnary.begin(), kUnary.end(), [&](const Named& named) { return named.onnx == op; });
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  return One(Like(x, importer.Call(it->torch, "", {x.value}, {TensorArgument{0}})));
}

// IsNaN, Not: bool.
template <const char* kName>
Results Test(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  return One(Symbol{
      .value = importer.Call(kName, "", {x.value}, {TensorArgument{0}}), .type = element::kBool, .shape = x.shape});
}
constexpr char kIsNan[] = "aten::isnan", kNot[] = "aten::logical_not";

struct Pair {
  Symbol a, b;
  MaybeShape shape;
};
absl::StatusOr<Pair> Operands(Importer& importer, const NodeView& node) {
  Pair pair;
  QATGAP_ASSIGN_OR_RETURN(pair.a, importer.Operand(node, 0));
  QATGAP_ASSIGN_OR_RETURN(pair.b, importer.Operand(node, 1));
  pair.shape = BroadcastShape(pair.a.shape, pair.b.shape);
  return pair;
}

template <OpKind kKind>
Results Binary(Importer& importer, const NodeView& node) {
  if (auto extents = ShapeArithmetic(node)) return One(*std::move(extents));
  QATGAP_ASSIGN_OR_RETURN(Pair pair, Operands(importer, node));
  Symbol result = Like(pair.a, -1);
  result.shape = std::move(pair.shape);
  if (kKind == OpKind::kDiv && !IsReal(pair.a.type)) {  // integers divide towards zero
    result.value = importer.Call("aten::div", "Tensor_mode", {pair.a.value, pair.b.value},
                                 {TensorArgument{0}, TensorArgument{1}, std::string("trunc")});
  } else {
    result.value = importer.Emit(kKind, {pair.a.value, pair.b.value});
  }
  return One(std::move(result));
}

template <OpKind kKind>
Results Compare(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(Pair pair, Operands(importer, node));
  return One(Symbol{.value = importer.Emit(kKind, {pair.a.value, pair.b.value}),
                    .type = element::kBool,
                    .shape = std::move(pair.shape)});
}

Results BinaryCall(Importer& importer, const NodeView& node, std::string_view name, std::string_view overload,
                   bool truth) {
  QATGAP_ASSIGN_OR_RETURN(Pair pair, Operands(importer, node));
  return One(Symbol{
      .value = importer.Call(name, overload, {pair.a.value, pair.b.value}, {TensorArgument{0}, TensorArgument{1}}),
      .type = truth ? element::kBool : pair.a.type,
      .shape = std::move(pair.shape)});
}
Results Equal(Importer& i, const NodeView& node) {
  if (auto extents = ShapeArithmetic(node)) return One(*std::move(extents));
  return BinaryCall(i, node, "aten::eq", "Tensor", true);
}
Results And(Importer& i, const NodeView& node) { return BinaryCall(i, node, "aten::logical_and", "", true); }
Results Or(Importer& i, const NodeView& node) { return BinaryCall(i, node, "aten::logical_or", "", true); }
Results Xor(Importer& i, const NodeView& node) { return BinaryCall(i, node, "aten::ne", "Tensor", true); }
Results Mod(Importer& i, const NodeView& node) {
  if (auto extents = ShapeArithmetic(node)) return One(*std::move(extents));
  return BinaryCall(i, node, node.Int("fmod", 0) != 0 ? "aten::fmod" : "aten::remainder", "Tensor", false);
}

Results Pow(Importer& importer, const NodeView& node) {
  const auto* exponent = std::get_if<Literal>(&node.in(1));
  if (exponent == nullptr || exponent->value.elements() != 1 || exponent->value.shape().size() > 1) {
    return BinaryCall(importer, node, "aten::pow", "Tensor_Tensor", false);
  }
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  QATGAP_ASSIGN_OR_RETURN(const double power, importer.KnownNumber(node, 1, "exponent"));
  return One(Like(x, importer.Call("aten::pow", "Tensor_Scalar", {x.value}, {TensorArgument{0}, power})));
}

// Min and Max of any number of tensors; Sum likewise.
Results Fold(Importer& importer, const NodeView& node) {
  const std::string op = OperatorTypeOf(node);
  QATGAP_ASSIGN_OR_RETURN(Symbol result, importer.Operand(node, 0));
  for (std::size_t i = 1; i < node.size(); ++i) {
    QATGAP_ASSIGN_OR_RETURN(const Symbol next, importer.Operand(node, i));
    result.shape = BroadcastShape(result.shape, next.shape);
    result.value = op == "Sum" ? importer.Emit(OpKind::kAdd, {result.value, next.value})
                               : importer.Call(op == "Min" ? "aten::minimum" : "aten::maximum", "",
                                               {result.value, next.value}, {TensorArgument{0}, TensorArgument{1}});
  }
  return One(std::move(result));
}

Results Where(Importer& importer, const NodeView& node) {
  if (auto extents = ShapeChoice(node)) return One(*std::move(extents));
  QATGAP_ASSIGN_OR_RETURN(const Symbol condition, importer.Operand(node, 0));
  QATGAP_ASSIGN_OR_RETURN(const Symbol a, importer.Operand(node, 1));
  QATGAP_ASSIGN_OR_RETURN(const Symbol b, importer.Operand(node, 2));
  return One(Symbol{.value = importer.Call("aten::where", "self", {condition.value, a.value, b.value},
                                           {TensorArgument{0}, TensorArgument{1}, TensorArgument{2}}),
                    .type = a.type,
                    .shape = BroadcastShape(condition.shape, BroadcastShape(a.shape, b.shape))});
}

// max(0, min(1, alpha x + beta)): LibTorch's hardsigmoid is the one with 1/6 and 0.5.
ValueId HardSigmoidOf(Importer& importer, ValueId x, float alpha, float beta) {
  if (alpha == 1.0F / 6.0F && beta == 0.5F) return importer.Emit(OpKind::kHardsigmoid, {x});
  const ValueId scaled = importer.Emit(OpKind::kMul, {x, Number(importer, alpha)});
  const ValueId shifted = importer.Emit(OpKind::kAdd, {scaled, Number(importer, beta)});
  return importer.Emit(OpKind::kClamp, {shifted}, graph::ClampAttributes{0, 1});
}

Results HardSigmoid(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  return One(Like(x, HardSigmoidOf(importer, x.value, node.Float("alpha", 0.2F), node.Float("beta", 0.5F))));
}

// Operators with numbers: (x, attribute...)
template <const char* kName>
Results WithAlpha(Importer& importer, const NodeView& node) {
  const std::string op = OperatorTypeOf(node);
  const double fallback = op == "LeakyRelu" ? 0.01 : 1.0;
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  const double alpha = node.HasAttribute("alpha") ? static_cast<double>(node.Float("alpha", 0)) : fallback;
  return One(Like(x, importer.Call(kName, "", {x.value}, {TensorArgument{0}, alpha})));
}
constexpr char kLeakyRelu[] = "aten::leaky_relu", kElu[] = "aten::elu", kCelu[] = "aten::celu";

Results Selu(Importer& importer, const NodeView& node) {
  if (node.HasAttribute("alpha") || node.HasAttribute("gamma"))
    return node.Refuse("has its own alpha or gamma", "use the defaults");
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  return One(Like(x, importer.Call("aten::selu", "", {x.value}, {TensorArgument{0}})));
}

Results Softplus(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  return One(Like(x, importer.Call("aten::softplus", "", {x.value}, {TensorArgument{0}})));
}

Results Softsign(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  const ValueId magnitude = importer.Call("aten::abs", "", {x.value}, {TensorArgument{0}});
  const ValueId below = importer.Emit(OpKind::kAdd, {magnitude, Number(importer, 1)});
  return One(Like(x, importer.Emit(OpKind::kDiv, {x.value, below})));
}

Results Gelu(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  return One(
      Like(x, importer.Call("aten::gelu", "", {x.value}, {TensorArgument{0}, node.String("approximate", "none")})));
}

// Slopes broadcast against the input; LibTorch wants one, or one per channel.
Results PRelu(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  QATGAP_ASSIGN_OR_RETURN(const Symbol slope, importer.Operand(node, 1));
  const auto* literal = std::get_if<Literal>(&node.in(1));
  if (literal == nullptr) return node.Refuse("its slopes are computed", "export the model with constant slopes");
  const graph::Shape& shape = literal->value.shape();
  const std::int64_t count = literal->value.elements();
  const bool per_channel = x.shape && x.shape->size() >= shape.size() && shape.size() + 1 >= x.shape->size() &&
                           count > 1 && shape[shape.size() + 1 - x.shape->size()] == count;
  if (count != 1 && !per_channel)
    return node.Refuse(absl::StrCat("has slopes of shape ", graph::ToString(shape)),
                       "give one slope, or one per channel");
  const ValueId flat = importer.Constant(Reshaped(literal->value, {count}));
  return One(Like(x, importer.Call("aten::prelu", "", {x.value, flat}, {TensorArgument{0}, TensorArgument{1}})));
}

template <const char* kName>
Results OverAxis(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  const std::int64_t axis = node.Int("axis", node.opset() < 13 ? 1 : -1);
  // Up to opset 12 the axes from `axis` on were one.
  const bool last = axis == -1 || (x.shape && axis + 1 == static_cast<std::int64_t>(x.shape->size()));
  if (node.opset() < 13 && !last)
    return node.Refuse(absl::StrCat("normalises several axes, by the rule of opset ", node.opset()),
                       "export with opset 13 or newer");
  return One(Like(x, importer.Call(kName, "int", {x.value}, {TensorArgument{0}, axis})));
}
constexpr char kSoftmax[] = "aten::softmax", kLogSoftmax[] = "aten::log_softmax";

// The axes from `axis` on, with scale and bias of their shape.
Results LayerNormalization(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  QATGAP_ASSIGN_OR_RETURN(const Symbol scale, importer.Operand(node, 1));
  const std::int64_t axis = node.Int("axis", -1);
  const std::int64_t covered = axis < 0 ? -axis : x.shape ? static_cast<std::int64_t>(x.shape->size()) - axis : -1;
  if (!scale.shape || static_cast<std::int64_t>(scale.shape->size()) != covered) {
    return node.Refuse("has a scale whose shape is not that of the axes it normalises",
                       "export the model with torch.nn.LayerNorm");
  }
  std::vector<ValueId> inputs{x.value, scale.value};
  std::vector<graph::Argument> arguments{TensorArgument{0}, *scale.shape, TensorArgument{1}, std::monostate()};
  if (node.has(2)) {
    QATGAP_ASSIGN_OR_RETURN(const Symbol bias, importer.Operand(node, 2));
    inputs.push_back(bias.value);
    arguments[3] = TensorArgument{2};
  }
  arguments.emplace_back(node.Decimal("epsilon", 1e-5F));
  return One(Like(x, importer.Call("aten::layer_norm", "", std::move(inputs), std::move(arguments))));
}

Results InstanceNormalization(Importer& importer, const NodeView& node) {
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  QATGAP_ASSIGN_OR_RETURN(const Symbol scale, importer.Operand(node, 1));
  QATGAP_ASSIGN_OR_RETURN(const Symbol bias, importer.Operand(node, 2));
  return One(Like(x, importer.Call("aten::instance_norm", "", {x.value, scale.value, bias.value},
                                   {TensorArgument{0}, TensorArgument{1}, TensorArgument{2}, std::monostate(),
                                    std::monostate(), true, 0.1, node.Decimal("epsilon", 1e-5F), false})));
}

Results GroupNormalization(Importer& importer, const NodeView& node) {
  if (node.opset() < 21) return node.Refuse("has scales per group, by the rule of opset 18", "export with opset 21");
  QATGAP_ASSIGN_OR_RETURN(const Symbol x, importer.Operand(node, 0));
  QATGAP_ASSIGN_OR_RETURN(const Symbol scale, importer.Operand(node, 1));
  QATGAP_ASSIGN_OR_RETURN(const Symbol bias, importer.Operand(node, 2));
  return One(Like(x, importer.Call("aten::group_norm", "", {x.value, scale.value, bias.value},
                                   {TensorArgument{0}, node.Int("num_groups", 1), TensorArgument{1}, TensorArgument{2},
                                    node.Decimal("epsilon", 1e-5F)})));
}

constexpr std::array<std::pair<std::string_view, Importer::Handler>, 37> kOperators = {{
    {"Add", Binary<OpKind::kAdd>},
    {"Sub", Binary<OpKind::kSub>},
    {"Mul", Binary<OpKind::kMul>},
    {"Div", Binary<OpKind::kDiv>},
    {"Greater", Compare<OpKind::kGreater>},
    {"GreaterOrEqual", Compare<OpKind::kGreaterEqual>},
    {"Less", Compare<OpKind::kLess>},
    {"LessOrEqual", Compare<OpKind::kLessEqual>},
    {"Equal", Equal},
    {"And", And},
    {"Or", Or},
    {"Xor", Xor},
    {"Not", Test<kNot>},
    {"IsNaN", Test<kIsNan>},
    {"Mod", Mod},
    {"Pow", Pow},
    {"Min", Fold},
    {"Max", Fold},
    {"Sum", Fold},
    {"Where", Where},
    {"Relu", Unary<OpKind::kRelu>},
    {"Sigmoid", Unary<OpKind::kSigmoid>},
    {"HardSwish", Unary<OpKind::kHardswish>},
    {"HardSigmoid", HardSigmoid},
    {"LeakyRelu", WithAlpha<kLeakyRelu>},
    {"Elu", WithAlpha<kElu>},
    {"Celu", WithAlpha<kCelu>},
    {"Selu", Selu},
    {"Softplus", Softplus},
    {"Softsign", Softsign},
    {"Gelu", Gelu},
    {"PRelu", PRelu},
    {"Softmax", OverAxis<kSoftmax>},
    {"LogSoftmax", OverAxis<kLogSoftmax>},
    {"LayerNormalization", LayerNormalization},
    {"InstanceNormalization", InstanceNormalization},
    {"GroupNormalization", GroupNormalization},
}};

}  // namespace

Importer::Handler FindElementwiseOperator(std::string_view op_type) {
  if (std::any_of(kUnary.begin(), kUnary.end(), [&](const Named& named) { return named.onnx == op_type; }))
    return NamedUnary;
  const auto it =
      std::find_if(kOperators.begin(), kOperators.end(), [&](const auto& entry) { return entry.first == op_type; });
  return it == kOperators.end() ? nullptr : it->second;
}

}  // namespace qatgap::frontends::onnx
