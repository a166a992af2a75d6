// Operators of arithmetic that have a kind of their own, with the defaults that the file leaves out.
#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/pt2/importer.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::pt2 {
namespace {

using graph::OpKind;
using graph::ValueId;
using Sizes = std::vector<std::int64_t>;

// One entry per spatial axis; one stands for all.
Sizes PerAxis(Sizes values, std::size_t axes) {
  if (values.size() == 1) values.resize(axes, values[0]);
  return values;
}

// Input and weight, and the bias where there is one.
absl::StatusOr<std::vector<ValueId>> Operands(Importer& importer, const Call& call) {
  QATGAP_ASSIGN_OR_RETURN(const ValueId input, importer.Real(call, "input"));
  QATGAP_ASSIGN_OR_RETURN(const ValueId weight, importer.Real(call, "weight"));
  std::vector<ValueId> values{input, weight};
  if (!call.Lacks("bias")) {
    QATGAP_ASSIGN_OR_RETURN(const ValueId bias, importer.Real(call, "bias"));
    values.push_back(bias);
  }
  return values;
}

// padding="same" and "valid" of conv1d.padding and its like.
absl::StatusOr<Sizes> PaddingWord(Importer& importer, const Call& call, const std::string& word,
                                  const Sizes& dilation) {
  Sizes padding(dilation.size(), 0);
  if (word == "valid") return padding;
  constexpr std::int64_t kLarge = std::int64_t{1} << 30U;
  const TensorMeta* weight = importer.MetaOf(call, "weight");
  for (std::size_t i = 0; i < padding.size(); ++i) {
    const bool ranked = weight != nullptr && weight->sizes.size() == padding.size() + 2;
    const std::int64_t kernel = ranked ? weight->sizes[i + 2].number : 0;
    const bool known = kernel > 0 && kernel < kLarge && dilation[i] > 0 && dilation[i] < kLarge;
    const std::int64_t total = known ? dilation[i] * (kernel - 1) : 1;
    if (word != "same" || total % 2 != 0) {
      return importer.Refuse(absl::StrCat("a convolution with padding '", word, "' that is not the same on both sides"),
                             "give the padding as numbers");
    }
    padding[i] = total / 2;
  }
  return padding;
}

absl::StatusOr<graph::ConvolutionAttributes> Geometry(Importer& importer, const Call& call, std::size_t axes) {
  graph::ConvolutionAttributes conv;
  const Sizes ones(axes, 1), zeros(axes, 0);
  QATGAP_ASSIGN_OR_RETURN(conv.stride, importer.Ints(call, "stride", ones));
  QATGAP_ASSIGN_OR_RETURN(conv.dilation, importer.Ints(call, "dilation", ones));
  conv.stride = PerAxis(std::move(conv.stride), axes);
  conv.dilation = PerAxis(std::move(conv.dilation), axes);
  if (const auto* word = std::get_if<std::string>(call.Find("padding"))) {
    QATGAP_ASSIGN_OR_RETURN(conv.padding, PaddingWord(importer, call, *word, conv.dilation));
  } else {
    QATGAP_ASSIGN_OR_RETURN(conv.padding, importer.Ints(call, "padding", zeros));
    conv.padding = PerAxis(std::move(conv.padding), axes);
  }
  QATGAP_ASSIGN_OR_RETURN(conv.groups, importer.Int(call, "groups", 1));
  if (conv.transposed) {
    QATGAP_ASSIGN_OR_RETURN(conv.output_padding, importer.Ints(call, "output_padding", zeros));
    conv.output_padding = PerAxis(std::move(conv.output_padding), axes);
  }
  const auto fits = [&](const Sizes& sizes) { return sizes.size() == axes; };
  if (!fits(conv.stride) || !fits(conv.padding) || !fits(conv.dilation) || conv.groups < 1) {
    return importer.Refuse(
        absl::StrCat("the geometry of ", call.file_name, " does not fit its ", axes, " spatial axes"),
        "export the model again");
  }
  return conv;
}

absl::Status Convolve(Importer& importer, const Call& call, std::size_t axes, bool transposed) {
  QATGAP_ASSIGN_OR_RETURN(graph::ConvolutionAttributes conv, Geometry(importer, call, axes));
  if (transposed) {
    conv.transposed = true;
    QATGAP_ASSIGN_OR_RETURN(conv.output_padding, importer.Ints(call, "output_padding", Sizes(axes, 0)));
    conv.output_padding = PerAxis(std::move(conv.output_padding), axes);
  }
  QATGAP_ASSIGN_OR_RETURN(std::vector<ValueId> operands, Operands(importer, call));
  return importer.Bind(call, importer.Emit(call, OpKind::kConvolution, std::move(operands), std::move(conv)));
}

template <std::size_t kAxes, bool kTransposed>
absl::Status Conv(Importer& importer, const Call& call) {
  return Convolve(importer, call, kAxes, kTransposed);
}

// convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups, ...)
absl::Status GeneralConvolution(Importer& importer, const Call& call) {
  QATGAP_ASSIGN_OR_RETURN(const Sizes stride, importer.Ints(call, "stride"));
  QATGAP_ASSIGN_OR_RETURN(const bool transposed, importer.Bool(call, "transposed", false));
  const TensorMeta* weight = importer.MetaOf(call, "weight");
  const std::size_t axes = weight != nullptr && weight->sizes.size() > 2 ? weight->sizes.size() - 2 : stride.size();
  return Convolve(importer, call, axes, transposed);
}

absl::Status Linear(Importer& importer, const Call& call) {
  QATGAP_ASSIGN_OR_RETURN(std::vector<ValueId> operands, Operands(importer, call));
  return importer.Bind(call, importer.Emit(call, OpKind::kLinear, std::move(operands)));
}

std::size_t RankOf(const Importer& importer, const Call& call, std::string_view argument) {
  const TensorMeta* meta = importer.MetaOf(call, argument);
  return meta == nullptr ? 0 : meta->sizes.size();
}

// x times a constant matrix of two axes is a linear layer with the matrix transposed.
absl::Status MatrixProduct(Importer& importer, const Call& call, std::string_view x, std::string_view matrix) {
  QATGAP_ASSIGN_OR_RETURN(const ValueId left, importer.Real(call, x));
  QATGAP_ASSIGN_OR_RETURN(const ValueId right, importer.Real(call, matrix));
  const bool layer = importer.IsConstant(right) && !importer.IsConstant(left) && RankOf(importer, call, matrix) == 2 &&
                     RankOf(importer, call, x) >= 2;
  if (!layer) return ImportByName(importer, call);
  std::vector<ValueId> operands{left, importer.Emit(call, OpKind::kPermute, {right}, graph::SizesAttributes{{1, 0}})};
  if (call.name == "aten::addmm") {
    QATGAP_ASSIGN_OR_RETURN(const ValueId bias, importer.Real(call, "self"));
    operands.push_back(bias);
  }
  return importer.Bind(call, importer.Emit(call, OpKind::kLinear, std::move(operands)));
}

absl::Status MatMul(Importer& importer, const Call& call) {
  return MatrixProduct(importer, call, "self", call.name == "aten::mm" ? "mat2" : "other");
}

absl::Status AddMm(Importer& importer, const Call& call) {
  QATGAP_ASSIGN_OR_RETURN(const double beta, importer.Double(call, "beta", 1));
  QATGAP_ASSIGN_OR_RETURN(const double alpha, importer.Double(call, "alpha", 1));
  if (beta != 1 || alpha != 1 || RankOf(importer, call, "self") != 1) return ImportByName(importer, call);
  return MatrixProduct(importer, call, "mat1", "mat2");
}

// batch_norm and the operators it is decomposed to: all give the normalized tensor first.
absl::Status BatchNorm(Importer& importer, const Call& call) {
  QATGAP_ASSIGN_OR_RETURN(const bool training, importer.Bool(call, "training", false));
  if (training) return importer.Refuse("batch norm in training mode", "call model.eval() before exporting");
  if (call.Lacks("running_mean") || call.Lacks("running_var")) {
    return importer.Refuse("batch norm without running statistics", "use track_running_stats=True");
  }
  const std::string_view epsilon_name = call.Find("epsilon") != nullptr ? "epsilon" : "eps";
  QATGAP_ASSIGN_OR_RETURN(const double epsilon, importer.Double(call, epsilon_name));
  QATGAP_ASSIGN_OR_RETURN(const ValueId x, importer.Real(call, "input"));
  QATGAP_ASSIGN_OR_RETURN(const ValueId mean, importer.Real(call, "running_mean"));
  QATGAP_ASSIGN_OR_RETURN(const ValueId variance, importer.Real(call, "running_var"));
  QATGAP_ASSIGN_OR_RETURN(const graph::Tensor statistics, importer.ConstantTensor(call, "running_mean"));
  const auto or_filled = [&](std::string_view argument, float filler) -> absl::StatusOr<ValueId> {
    if (!call.Lacks(argument)) return importer.Real(call, argument);
    const std::vector<float> values(static_cast<std::size_t>(statistics.elements()), filler);
    return importer.EmitConstant(call, graph::Tensor::Of<float>(statistics.shape(), values));
  };
  QATGAP_ASSIGN_OR_RETURN(const ValueId gamma, or_filled("weight", 1));
  QATGAP_ASSIGN_OR_RETURN(const ValueId beta, or_filled("bias", 0));
  return importer.Bind(call, importer.Emit(call, OpKind::kBatchNorm, {x, gamma, beta, mean, variance},
                                           graph::BatchNormAttributes{.epsilon = epsilon}));
}

absl::StatusOr<std::pair<ValueId, ValueId>> Pair(Importer& importer, const Call& call) {
  QATGAP_ASSIGN_OR_RETURN(const Slot* self, importer.Tensor(call, "self"));
  QATGAP_ASSIGN_OR_RETURN(const ValueId a, importer.RealOf(*self, "self"));
  QATGAP_ASSIGN_OR_RETURN(const ValueId b, importer.RealOrNumber(call, "other", self->dtype));
  return std::pair(a, b);
}

template <OpKind kKind>
absl::Status Binary(Importer& importer, const Call& call) {
  if (!call.Lacks("rounding_mode")) return ImportByName(importer, call);
  QATGAP_ASSIGN_OR_RETURN(auto operands, Pair(importer, call));
  QATGAP_ASSIGN_OR_RETURN(const double alpha, importer.Double(call, "alpha", 1));
  if (alpha != 1) {
    QATGAP_ASSIGN_OR_RETURN(const Slot* self, importer.Tensor(call, "self"));
    operands.second =
        importer.Emit(call, OpKind::kMul, {operands.second, importer.EmitNumber(call, alpha, self->dtype)});
  }
  return importer.Bind(call, importer.Emit(call, kKind, {operands.first, operands.second}));
}

// rsub(self, other, alpha) = other - alpha * self
absl::Status ReverseSub(Importer& importer, const Call& call) {
  QATGAP_ASSIGN_OR_RETURN(const double alpha, importer.Double(call, "alpha", 1));
  if (alpha != 1) return ImportByName(importer, call);
  QATGAP_ASSIGN_OR_RETURN(const auto operands, Pair(importer, call));
  return importer.Bind(call, importer.Emit(call, OpKind::kSub, {operands.second, operands.first}));
}

template <OpKind kKind>
absl::Status Compare(Importer& importer, const Call& call) {
  QATGAP_ASSIGN_OR_RETURN(const auto operands, Pair(importer, call));
  return importer.Bind(call, importer.Emit(call, kKind, {operands.first, operands.second}));
}

template <OpKind kKind>
absl::Status Unary(Importer& importer, const Call& call) {
  QATGAP_ASSIGN_OR_RETURN(const ValueId x, importer.Real(call, "self"));
  return importer.Bind(call, importer.Emit(call, kKind, {x}));
}

absl::Status Relu(Importer& importer, const Call& call) { return importer.BindLike(call, OpKind::kRelu, "self"); }

absl::Status ClampTo(Importer& importer, const Call& call, double min, double max) {
  QATGAP_ASSIGN_OR_RETURN(const ValueId x, importer.Real(call, "self"));
  return importer.Bind(call, importer.Emit(call, OpKind::kClamp, {x}, graph::ClampAttributes{.min = min, .max = max}));
}

absl::Status Clamp(Importer& importer, const Call& call) {
  const bool numbers = call.overload.empty() && !call.Lacks("min") && !call.Lacks("max");
  if (!numbers) return ImportByName(importer, call);
  QATGAP_ASSIGN_OR_RETURN(const double min, importer.Double(call, "min"));
  QATGAP_ASSIGN_OR_RETURN(const double max, importer.Double(call, "max"));
  return ClampTo(importer, call, min, max);
}

absl::Status Hardtanh(Importer& importer, const Call& call) {
  QATGAP_ASSIGN_OR_RETURN(const double min, importer.Double(call, "min_val", -1));
  QATGAP_ASSIGN_OR_RETURN(const double max, importer.Double(call, "max_val", 1));
  return ClampTo(importer, call, min, max);
}

absl::Status Relu6(Importer& importer, const Call& call) { return ClampTo(importer, call, 0, 6); }

// mean(self, dim, keepdim, dtype), sum likewise; over all elements without dim.
template <OpKind kKind>
absl::Status Reduce(Importer& importer, const Call& call) {
  graph::ReduceAttributes reduce;
  QATGAP_ASSIGN_OR_RETURN(reduce.axes, importer.Ints(call, "dim", Sizes{}));
  QATGAP_ASSIGN_OR_RETURN(reduce.keep_dims, importer.Bool(call, "keepdim", false));
  const bool all_kept = reduce.axes.empty() && reduce.keep_dims;
  if (!call.Lacks("dtype") || all_kept) return ImportByName(importer, call);
  QATGAP_ASSIGN_OR_RETURN(const ValueId x, importer.Real(call, "self"));
  return importer.Bind(call, importer.Emit(call, kKind, {x}, std::move(reduce)));
}

absl::StatusOr<graph::PoolAttributes> Pool(Importer& importer, const Call& call) {
  graph::PoolAttributes pool;
  QATGAP_ASSIGN_OR_RETURN(pool.kernel, importer.Ints(call, "kernel_size"));
  pool.kernel = PerAxis(std::move(pool.kernel), 2);
  QATGAP_ASSIGN_OR_RETURN(pool.stride, importer.Ints(call, "stride", Sizes{}));
  pool.stride = pool.stride.empty() ? pool.kernel : PerAxis(std::move(pool.stride), 2);
  QATGAP_ASSIGN_OR_RETURN(pool.padding, importer.Ints(call, "padding", Sizes{0, 0}));
  pool.padding = PerAxis(std::move(pool.padding), 2);
  QATGAP_ASSIGN_OR_RETURN(pool.ceil_mode, importer.Bool(call, "ceil_mode", false));
  return pool;
}

absl::Status MaxPool2d(Importer& importer, const Call& call) {
  QATGAP_ASSIGN_OR_RETURN(graph::PoolAttributes pool, Pool(importer, call));
  QATGAP_ASSIGN_OR_RETURN(pool.dilation, importer.Ints(call, "dilation", Sizes{1, 1}));
  pool.dilation = PerAxis(std::move(pool.dilation), 2);
  return importer.BindLike(call, OpKind::kMaxPool2d, "self", std::move(pool));
}

absl::Status AvgPool2d(Importer& importer, const Call& call) {
  QATGAP_ASSIGN_OR_RETURN(graph::PoolAttributes pool, Pool(importer, call));
  QATGAP_ASSIGN_OR_RETURN(pool.count_include_pad, importer.Bool(call, "count_include_pad", true));
  if (!call.Lacks("divisor_override")) {
    QATGAP_ASSIGN_OR_RETURN(pool.divisor_override, importer.Int(call, "divisor_override"));
  }
  QATGAP_ASSIGN_OR_RETURN(const ValueId x, importer.Real(call, "self"));
  return importer.Bind(call, importer.Emit(call, OpKind::kAvgPool2d, {x}, std::move(pool)));
}

absl::Status AdaptiveAvgPool2d(Importer& importer, const Call& call) {
  QATGAP_ASSIGN_OR_RETURN(Sizes sizes, importer.Ints(call, "output_size"));
  QATGAP_ASSIGN_OR_RETURN(const ValueId x, importer.Real(call, "self"));
  return importer.Bind(
      call, importer.Emit(call, OpKind::kAdaptiveAvgPool2d, {x}, graph::SizesAttributes{PerAxis(std::move(sizes), 2)}));
}

// _softmax(self, dim, half_to_float) and _log_softmax, as programs without composite operators have them.
absl::Status Softmax(Importer& importer, const Call& call) {
  QATGAP_ASSIGN_OR_RETURN(const std::int64_t axis, importer.Int(call, "dim"));
  QATGAP_ASSIGN_OR_RETURN(const ValueId x, importer.Real(call, "self"));
  graph::OperatorAttributes softmax{.name = call.name == "aten::_softmax" ? "aten::softmax" : "aten::log_softmax",
                                    .overload = "int",
                                    .arguments = {graph::TensorArgument{0}, axis}};
  return importer.Bind(call, importer.Emit(call, OpKind::kOperator, {x}, std::move(softmax)));
}

// Its indices are refused when they are read.
absl::Status MaxPool3d(Importer& importer, const Call& call) {
  QATGAP_ASSIGN_OR_RETURN(Sizes kernel, importer.Ints(call, "kernel_size"));
  QATGAP_ASSIGN_OR_RETURN(Sizes stride, importer.Ints(call, "stride", Sizes{}));
  QATGAP_ASSIGN_OR_RETURN(Sizes padding, importer.Ints(call, "padding", Sizes{0, 0, 0}));
  QATGAP_ASSIGN_OR_RETURN(Sizes dilation, importer.Ints(call, "dilation", Sizes{1, 1, 1}));
  QATGAP_ASSIGN_OR_RETURN(const bool ceil_mode, importer.Bool(call, "ceil_mode", false));
  QATGAP_ASSIGN_OR_RETURN(const ValueId x, importer.Real(call, "self"));
  graph::OperatorAttributes pool{.name = "aten::max_pool3d",
                                 .overload = "",
                                 .arguments = {graph::TensorArgument{0}, std::move(kernel), std::move(stride),
                                               std::move(padding), std::move(dilation), ceil_mode}};
  return importer.Bind(call, importer.Emit(call, OpKind::kOperator, {x}, std::move(pool)));
}

constexpr std::array<std::pair<std::string_view, Importer::Handler>, 47> kOperators = {{
    {"aten::conv1d", Conv<1, false>},
    {"aten::conv2d", Conv<2, false>},
    {"aten::conv3d", Conv<3, false>},
    {"aten::conv_transpose1d", Conv<1, true>},
    {"aten::conv_transpose2d", Conv<2, true>},
    {"aten::conv_transpose3d", Conv<3, true>},
    {"aten::convolution", GeneralConvolution},
    {"aten::_convolution", GeneralConvolution},
    {"aten::linear", Linear},
    {"aten::addmm", AddMm},
    {"aten::mm", MatMul},
    {"aten::matmul", MatMul},
    {"aten::batch_norm", BatchNorm},
    {"aten::native_batch_norm", BatchNorm},
    {"aten::_native_batch_norm_legit", BatchNorm},
    {"aten::_native_batch_norm_legit_no_training", BatchNorm},
    {"aten::_batch_norm_no_update", BatchNorm},
    {"aten::cudnn_batch_norm", BatchNorm},
    {"aten::miopen_batch_norm", BatchNorm},
    {"aten::add", Binary<OpKind::kAdd>},
    {"aten::sub", Binary<OpKind::kSub>},
    {"aten::mul", Binary<OpKind::kMul>},
    {"aten::div", Binary<OpKind::kDiv>},
    {"aten::true_divide", Binary<OpKind::kDiv>},
    {"aten::rsub", ReverseSub},
    {"aten::gt", Compare<OpKind::kGreater>},
    {"aten::ge", Compare<OpKind::kGreaterEqual>},
    {"aten::lt", Compare<OpKind::kLess>},
    {"aten::le", Compare<OpKind::kLessEqual>},
    {"aten::relu", Relu},
    {"aten::relu6", Relu6},
    {"aten::hardtanh", Hardtanh},
    {"aten::clamp", Clamp},
    {"aten::clip", Clamp},
    {"aten::hardswish", Unary<OpKind::kHardswish>},
    {"aten::hardsigmoid", Unary<OpKind::kHardsigmoid>},
    {"aten::sigmoid", Unary<OpKind::kSigmoid>},
    {"aten::mean", Reduce<OpKind::kMean>},
    {"aten::sum", Reduce<OpKind::kSum>},
    {"aten::max_pool2d", MaxPool2d},
    {"aten::max_pool2d_with_indices", MaxPool2d},
    {"aten::max_pool3d_with_indices", MaxPool3d},
    {"aten::_softmax", Softmax},
    {"aten::_log_softmax", Softmax},
    {"aten::avg_pool2d", AvgPool2d},
    {"aten::adaptive_avg_pool2d", AdaptiveAvgPool2d},
    {"aten::_adaptive_avg_pool2d", AdaptiveAvgPool2d},
}};

}  // namespace

Importer::Handler FindFloatOperator(const Call& call) {
  const auto it =
      std::find_if(kOperators.begin(), kOperators.end(), [&](const auto& entry) { return entry.first == call.name; });
  return it == kOperators.end() ? nullptr : it->second;
}

}  // namespace qatgap::frontends::pt2
