#include <ATen/core/List.h>
#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/flatten.h>
#include <ATen/ops/int_repr.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/relu.h>

#include "analyzers/execution/operators.h"
#include "analyzers/execution/torch_bridge.h"

namespace qatgap::execution {
namespace {

using graph::OpKind;

bool HasQuantizedOperator(OpKind kind) {
  switch (kind) {
    case OpKind::kAdd:
    case OpKind::kMul:
    case OpKind::kConcat:
    case OpKind::kHardswish:
    case OpKind::kRelu:
    case OpKind::kMaxPool2d:
    case OpKind::kAvgPool2d:
    case OpKind::kAdaptiveAvgPool2d:
    case OpKind::kMean:
    case OpKind::kFlatten:
    case OpKind::kReshape:
    case OpKind::kPermute:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::optional<EngineCall> FindEngineCall(const graph::Graph& graph, const graph::Node& node) {
  if (node.kind != OpKind::kQuantize && node.kind != OpKind::kQuantizeLike) return std::nullopt;
  EngineCall call;
  call.op = graph.producer(node.inputs[0]);
  if (call.op != nullptr && call.op->kind == OpKind::kRelu) {
    const graph::Node* before = graph.producer(call.op->inputs[0]);
    if (before != nullptr && (before->kind == OpKind::kAdd || before->kind == OpKind::kMul)) {
      call.op = before;
      call.relu = true;
    }
  }
  if (call.op == nullptr || !HasQuantizedOperator(call.op->kind)) return std::nullopt;
  for (const graph::ValueId input : call.op->inputs) {
    const graph::Node* dequantize = graph.producer(input);
    if (dequantize == nullptr || dequantize->kind != OpKind::kDequantize) return std::nullopt;
    call.inputs.push_back(dequantize->inputs[0]);
  }
  return call;
}

at::Tensor RunEngineCall(const EngineCall& call, std::span<const QuantizedOperand> inputs,
                         const numerics::QuantParams& output) {
  std::vector<at::Tensor> in;
  for (const QuantizedOperand& operand : inputs) in.push_back(QuantizedInput(operand.codes, *operand.params));
  at::Tensor result;
  switch (call.op->kind) {
    case OpKind::kAdd:
      result = CallOperator(call.relu ? "quantized::add_relu" : "quantized::add", "",
                            {in[0], in[1], output.scale(), output.zero_point()}).toTensor();
      break;
    case OpKind::kMul:
      result = CallOperator(call.relu ? "quantized::mul_relu" : "quantized::mul", "",
                            {in[0], in[1], output.scale(), output.zero_point()}).toTensor();
      break;
    case OpKind::kConcat:
      result = CallOperator("quantized::cat", "",
                            {c10::List<at::Tensor>(in), std::get<graph::AxisAttributes>(call.op->attributes).axis,
                             output.scale(), output.zero_point()}).toTensor();
      break;
    case OpKind::kHardswish:
      result = CallOperator("quantized::hardswish", "", {in[0], output.scale(), output.zero_point()}).toTensor();
      break;
    // The rest keeps its input's qparams; the float operators dispatch to their quantized kernels.
    default:
      result = RunFloatOperator(*call.op, in);
  }
  return at::int_repr(result).to(at::kInt);
}

}  // namespace qatgap::execution
