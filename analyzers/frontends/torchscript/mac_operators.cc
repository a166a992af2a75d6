// Convolutions, linears and products with a constant.
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/torchscript/evaluator.h"

namespace qatgap::frontends::torchscript {
namespace {

using graph::OpKind;
using Inputs = Evaluator::Inputs;

// One entry per spatial axis; TorchScript allows one entry for all.
std::vector<std::int64_t> PerAxis(std::vector<std::int64_t> values, std::size_t axes) {
  if (values.size() == 1) values.resize(axes, values[0]);
  return values;
}

Slot Convolve(Evaluator& e, graph::ValueId x, const Inputs& in, graph::ConvolutionAttributes attributes) {
  if (!attributes.transposed) attributes.output_padding.clear();  // tracing writes zeros
  std::vector<graph::ValueId> operands{x, e.Real(in[1])};
  if (!IsNone(in[2])) operands.push_back(e.Real(in[2]));
  return Symbol{e.Emit(OpKind::kConvolution, std::move(operands), std::move(attributes))};
}

// "same" with a kernel of even size pads one more behind than in front, with an operator of its own.
Slot ConvolveWithWord(Evaluator& e, const Inputs& in, graph::ConvolutionAttributes attributes) {
  const std::string& word = e.Concrete(in[4], "padding").toStringRef();
  const std::size_t axes = attributes.stride.size();
  attributes.padding.assign(axes, 0);
  graph::ValueId x = e.Real(in[0]);
  if (word == "valid") return Convolve(e, x, in, std::move(attributes));
  const graph::ValueId weight = e.Real(in[1]);
  const SymbolicShape* shape = e.shapes().Find(weight);
  if (word != "same" || shape == nullptr || shape->size() != axes + 2) {
    e.Refuse(absl::StrCat("a convolution with padding '", word, "'"), "give the padding as numbers");
  }
  std::vector<std::int64_t> behind;  // last axis first, [front, back] each
  bool uneven = false;
  for (std::size_t axis = axes; axis-- > 0;) {
    const Extent& kernel = (*shape)[axis + 2];
    const bool sane = kernel.is_number() && kernel.numerator < (1 << 24) && attributes.dilation[axis] > 0 &&
                      attributes.dilation[axis] < (1 << 24);
    if (!sane) e.Refuse("padding 'same' of a kernel of unknown size", "give the padding as numbers");
    const std::int64_t total = attributes.dilation[axis] * (kernel.numerator - 1);
    attributes.padding[axis] = total / 2;
    behind.insert(behind.end(), {0, total % 2});
    uneven = uneven || total % 2 != 0;
  }
  if (uneven) {
    x = e.EmitOperator("aten::constant_pad_nd", "", {x}, {graph::TensorArgument{0}, behind, std::int64_t{0}});
  }
  return Convolve(e, x, in, std::move(attributes));
}

bool HasWord(const Slot& padding) {
  const auto* value = std::get_if<c10::IValue>(&padding);
  return value != nullptr && value->isString();
}

// conv{1,2,3}d(x, weight, bias, stride, padding, dilation, groups)
template <std::size_t kAxes>
Slot Conv(Evaluator& e, const Inputs& in) {
  graph::ConvolutionAttributes attributes{.stride = PerAxis(e.Ints(in[3], "stride"), kAxes),
                                          .padding = {},
                                          .dilation = PerAxis(e.Ints(in[5], "dilation"), kAxes),
                                          .groups = e.Int(in[6], "groups"),
                                          .transposed = false,
                                          .output_padding = {}};
  if (HasWord(in[4])) return ConvolveWithWord(e, in, std::move(attributes));
  attributes.padding = PerAxis(e.Ints(in[4], "padding"), kAxes);
  return Convolve(e, e.Real(in[0]), in, std::move(attributes));
}

// _convolution(x, weight, bias, stride, padding, dilation, transposed, output_padding, groups, ...)
Slot ConvolutionOfTrace(Evaluator& e, const Inputs& in) {
  const std::vector<std::int64_t> stride = e.Ints(in[3], "stride");
  return Convolve(e, e.Real(in[0]), in,
                  {.stride = stride,
                   .padding = PerAxis(e.Ints(in[4], "padding"), stride.size()),
                   .dilation = PerAxis(e.Ints(in[5], "dilation"), stride.size()),
                   .groups = e.Int(in[8], "groups"),
                   .transposed = e.Concrete(in[6], "transposed").toBool(),
                   .output_padding = PerAxis(e.Ints(in[7], "output padding"), stride.size())});
}

// _convolution_mode(x, weight, bias, stride, padding, dilation, groups), as tracing writes a padding given as a word
Slot ConvolutionMode(Evaluator& e, const Inputs& in) {
  const SymbolicShape* weight = e.shapes().Find(e.Real(in[1]));
  const std::size_t axes = weight == nullptr || weight->size() < 3 ? 2 : weight->size() - 2;
  return ConvolveWithWord(e, in,
                          {.stride = PerAxis(e.Ints(in[3], "stride"), axes),
                           .padding = {},
                           .dilation = PerAxis(e.Ints(in[5], "dilation"), axes),
                           .groups = e.Int(in[6], "groups"),
                           .transposed = false,
                           .output_padding = {}});
}

// conv_transpose{1,2,3}d(x, weight, bias, stride, padding, output_padding, groups, dilation)
template <std::size_t kAxes>
Slot ConvTranspose(Evaluator& e, const Inputs& in) {
  return Convolve(e, e.Real(in[0]), in,
                  {.stride = PerAxis(e.Ints(in[3], "stride"), kAxes),
                   .padding = PerAxis(e.Ints(in[4], "padding"), kAxes),
                   .dilation = PerAxis(e.Ints(in[7], "dilation"), kAxes),
                   .groups = e.Int(in[6], "groups"),
                   .transposed = true,
                   .output_padding = PerAxis(e.Ints(in[5], "output padding"), kAxes)});
}

Slot Linear(Evaluator& e, const Inputs& in) {
  std::vector<graph::ValueId> operands{e.Real(in[0]), e.Real(in[1])};
  if (!IsNone(in[2])) operands.push_back(e.Real(in[2]));
  return Symbol{e.Emit(OpKind::kLinear, std::move(operands))};
}

// A quantized constant [in, out] as the weight [out, in] of a linear; nullopt when the operand is none.
std::optional<graph::ValueId> AsLinearWeight(Evaluator& e, const Slot& slot) {
  const auto* symbol = std::get_if<Symbol>(&slot);
  if (symbol == nullptr || symbol->codes) return std::nullopt;
  return e.TransposedCodes(symbol->value);
}

// matmul(a, b), mm(a, b)
template <bool kMatmul>
Slot Multiply(Evaluator& e, const Inputs& in) {
  if (IsCodes(in[0]) || IsCodes(in[1])) {
    e.Refuse(absl::StrCat("operator ", e.source_op(), " on a quantized tensor has no kernel in PyTorch"),
             "use FloatFunctional.matmul");
  }
  const graph::ValueId a = e.Real(in[0]);
  if (const auto weight = AsLinearWeight(e, in[1])) return Symbol{e.Emit(OpKind::kLinear, {a, *weight})};
  return Symbol{e.EmitOperator(kMatmul ? "aten::matmul" : "aten::mm", "", {a, e.Real(in[1])},
                               {graph::TensorArgument{0}, graph::TensorArgument{1}})};
}

bool IsOne(Evaluator& e, const Slot& slot) { return e.Concrete(slot, "factor").toScalar().toDouble() == 1.0; }

// addmm(bias, a, b, beta, alpha)
Slot AddProduct(Evaluator& e, const Inputs& in) {
  const graph::ValueId bias = e.Real(in[0]), a = e.Real(in[1]);
  if (IsOne(e, in[3]) && IsOne(e, in[4])) {
    if (const auto weight = AsLinearWeight(e, in[2])) return Symbol{e.Emit(OpKind::kLinear, {a, *weight, bias})};
  }
  return Symbol{e.EmitOperator("aten::addmm", "", {bias, a, e.Real(in[2])},
                               {graph::TensorArgument{0}, graph::TensorArgument{1}, graph::TensorArgument{2},
                                e.Concrete(in[3], "beta").toScalar().toDouble(),
                                e.Concrete(in[4], "alpha").toScalar().toDouble()})};
}

constexpr std::array<std::pair<std::string_view, Evaluator::Handler>, 12> kOperators = {{
    {"aten::conv1d", Conv<1>},
    {"aten::conv2d", Conv<2>},
    {"aten::conv3d", Conv<3>},
    {"aten::_convolution", ConvolutionOfTrace},
    {"aten::_convolution_mode", ConvolutionMode},
    {"aten::conv_transpose1d", ConvTranspose<1>},
    {"aten::conv_transpose2d", ConvTranspose<2>},
    {"aten::conv_transpose3d", ConvTranspose<3>},
    {"aten::linear", Linear},
    {"aten::matmul", Multiply<true>},
    {"aten::mm", Multiply<false>},
    {"aten::addmm", AddProduct},
}};

}  // namespace

Evaluator::Handler FindMacOperator(std::string_view name) {
  for (const auto& [known, handler] : kOperators) {
    if (known == name) return handler;
  }
  return nullptr;
}

}  // namespace qatgap::frontends::torchscript
