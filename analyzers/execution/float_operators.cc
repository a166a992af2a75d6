#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/add.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/div.h>
#include <ATen/ops/flatten.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/gt.h>
#include <ATen/ops/hardsigmoid.h>
#include <ATen/ops/hardswish.h>
#include <ATen/ops/le.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/lt.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/sum.h>

#include <stdexcept>

#include "analyzers/execution/operators.h"
#include "analyzers/graph/operator_names.h"

namespace qatgap::execution {
namespace {

using graph::OpKind;

at::Tensor Convolve(const graph::Node& node, std::span<const at::Tensor> in) {
  const auto& conv = std::get<graph::ConvolutionAttributes>(node.attributes);
  const std::vector<std::int64_t> no_output_padding(conv.stride.size(), 0);
  return at::convolution(in[0], in[1], in.size() > 2 ? std::optional<at::Tensor>(in[2]) : std::nullopt, conv.stride,
                         conv.padding, conv.dilation, conv.transposed,
                         conv.transposed ? conv.output_padding : no_output_padding, conv.groups);
}

at::Tensor Pool(const graph::Node& node, const at::Tensor& x) {
  const auto& pool = std::get<graph::PoolAttributes>(node.attributes);
  if (node.kind == OpKind::kMaxPool2d) {
    return at::max_pool2d(x, pool.kernel, pool.stride, pool.padding, pool.dilation, pool.ceil_mode);
  }
  return at::avg_pool2d(x, pool.kernel, pool.stride, pool.padding, pool.ceil_mode, pool.count_include_pad,
                        pool.divisor_override);
}

at::Tensor Reduce(const graph::Node& node, const at::Tensor& x) {
  const auto& reduce = std::get<graph::ReduceAttributes>(node.attributes);
  if (node.kind == OpKind::kMean) {
    return reduce.axes.empty() ? at::mean(x) : at::mean(x, reduce.axes, reduce.keep_dims);
  }
  return reduce.axes.empty() ? at::sum(x) : at::sum(x, reduce.axes, reduce.keep_dims);
}

at::Tensor Reshape(const graph::Node& node, const at::Tensor& x) {
  std::vector<std::int64_t> sizes = std::get<graph::SizesAttributes>(node.attributes).sizes;
  for (std::size_t axis = 0; axis < sizes.size(); ++axis) {
    if (sizes[axis] == 0) sizes[axis] = x.size(static_cast<std::int64_t>(axis));
  }
  return x.reshape(sizes);
}

}  // namespace

bool KeepsGrid(const graph::Node& node) {
  const OpKind kind = node.kind;
  if (const auto* call = std::get_if<graph::OperatorAttributes>(&node.attributes)) return graph::MovesElements(call->name);
  return kind == OpKind::kFlatten || kind == OpKind::kReshape || kind == OpKind::kPermute ||
         kind == OpKind::kMaxPool2d || kind == OpKind::kRelu;
}

at::Tensor RunFloatOperator(const graph::Node& node, std::span<const at::Tensor> in) {
  switch (node.kind) {
    case OpKind::kConvolution:
      return Convolve(node, in);
    case OpKind::kLinear:
      return at::linear(in[0], in[1], in.size() > 2 ? std::optional<at::Tensor>(in[2]) : std::nullopt);
    case OpKind::kBatchNorm:
      return at::batch_norm(in[0], in[1], in[2], in[3], in[4], /*training=*/false, /*momentum=*/0.1,
                            std::get<graph::BatchNormAttributes>(node.attributes).epsilon, /*cudnn_enabled=*/true);
    case OpKind::kAdd:
      return at::add(in[0], in[1]);
    case OpKind::kSub:
      return at::sub(in[0], in[1]);
    case OpKind::kMul:
      return at::mul(in[0], in[1]);
    case OpKind::kDiv:
      return at::div(in[0], in[1]);
    case OpKind::kRelu:
      return at::relu(in[0]);
    case OpKind::kClamp: {
      const auto& clamp = std::get<graph::ClampAttributes>(node.attributes);
      return at::clamp(in[0], at::Scalar(clamp.min), at::Scalar(clamp.max));
    }
    case OpKind::kHardswish:
      return at::hardswish(in[0]);
    case OpKind::kHardsigmoid:
      return at::hardsigmoid(in[0]);
    case OpKind::kSigmoid:
      return at::sigmoid(in[0]);
    case OpKind::kConcat:
      return at::cat(at::TensorList(in.data(), in.size()), std::get<graph::AxisAttributes>(node.attributes).axis);
    case OpKind::kMaxPool2d:
    case OpKind::kAvgPool2d:
      return Pool(node, in[0]);
    case OpKind::kAdaptiveAvgPool2d:
      return at::adaptive_avg_pool2d(in[0], std::get<graph::SizesAttributes>(node.attributes).sizes);
    case OpKind::kMean:
    case OpKind::kSum:
      return Reduce(node, in[0]);
    case OpKind::kFlatten: {
      const auto& flatten = std::get<graph::FlattenAttributes>(node.attributes);
      return at::flatten(in[0], flatten.start_axis, flatten.end_axis);
    }
    case OpKind::kReshape:
      return Reshape(node, in[0]);
    case OpKind::kPermute:
      return in[0].permute(std::get<graph::SizesAttributes>(node.attributes).sizes);
    case OpKind::kGreater:
      return at::gt(in[0], in[1]);
    case OpKind::kGreaterEqual:
      return at::ge(in[0], in[1]);
    case OpKind::kLess:
      return at::lt(in[0], in[1]);
    case OpKind::kLessEqual:
      return at::le(in[0], in[1]);
    case OpKind::kConstant:
    case OpKind::kQuantize:
    case OpKind::kQuantizeLike:
    case OpKind::kDequantize:
    case OpKind::kIf:
    case OpKind::kOperator:
      break;  // the executor's own
  }
  throw std::logic_error("not a float operator");
}

}  // namespace qatgap::execution
