// Quantized operators that are no MAC layers, as LibTorch's engine computes them from codes.
#include <ATen/core/List.h>
#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/flatten.h>
#include <ATen/ops/hardsigmoid.h>
#include <ATen/ops/int_repr.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/tanh.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "analyzers/execution/operators.h"
#include "analyzers/execution/torch_bridge.h"
#include "analyzers/graph/operator_names.h"

namespace qatgap::execution {
namespace {

using graph::OpKind;

// The arguments of an operator by name, as the node keeps them, behind its tensors.
const graph::Argument& ArgumentAt(const graph::Node& node, std::size_t i) {
  const auto& arguments = std::get<graph::OperatorAttributes>(node.attributes).arguments;
  if (i >= arguments.size()) throw std::runtime_error(absl::StrCat(node.source_op, " lacks its argument ", i));
  return arguments[i];
}

struct ArgumentToIValue {
  std::span<const at::Tensor> reals;
  std::size_t codes;  // how many of the node's inputs are codes

  c10::IValue operator()(std::monostate) const { return {}; }
  c10::IValue operator()(const graph::TensorArgument& tensor) const {
    const auto input = static_cast<std::size_t>(tensor.input);
    if (input < codes || input - codes >= reals.size()) throw std::runtime_error("an operand is not among the reals");
    return reals[input - codes];
  }
  c10::IValue operator()(bool value) const { return value; }
  c10::IValue operator()(std::int64_t value) const { return value; }
  c10::IValue operator()(double value) const { return value; }
  c10::IValue operator()(const std::string& value) const { return value; }
  c10::IValue operator()(const std::vector<std::int64_t>& values) const { return values; }
  template <typename T>
  c10::IValue operator()(const T&) const {
    throw std::runtime_error("an argument that no quantized operator takes");
  }
};

// A quantized operator behind the float one of the same meaning: `arguments` are those of the float operator, in the
// quantized one's order, kScale the output's scale and zero point.
constexpr int kScale = -1;
constexpr int kFalse = -2;
struct NamedOperator {
  std::string_view name;
  const char* quantized;
  std::array<int, 7> arguments;
  std::size_t count;
};
constexpr NamedOperator kNamed[] = {
    {"aten::leaky_relu", "quantized::leaky_relu", {1, kFalse, kScale}, 3},
    {"aten::elu", "quantized::elu", {kScale, 1, 2, 3}, 4},
    {"aten::celu", "quantized::celu", {kScale, 1}, 2},
    {"aten::prelu", "quantized::prelu", {kScale}, 1},
    {"aten::softmax", "quantized::softmax", {1, kScale}, 2},
    {"aten::layer_norm", "quantized::layer_norm", {1, 2, 3, 4, kScale}, 5},
    {"aten::group_norm", "quantized::group_norm", {1, 2, 3, 4, kScale}, 5},
    {"aten::instance_norm", "quantized::instance_norm", {1, 2, 7, kScale}, 4},
    {"aten::matmul", "quantized::matmul", {kScale}, 1},
};

const NamedOperator* FindNamed(std::string_view name) {
  const auto* it = std::find_if(std::begin(kNamed), std::end(kNamed), [&](const NamedOperator& op) { return op.name == name; });
  return it == std::end(kNamed) ? nullptr : it;
}

// Operators whose quantized kernel keeps its input's qparams and does not merely move codes.
bool KeepsQparams(std::string_view name) {
  return graph::Averages(name) || name == "aten::leaky_relu" || name == "aten::upsample_bilinear2d" || name == "aten::threshold";
}

// The operator on codes whose output's qparams PyTorch fixes: 1/256 for a sigmoid, 2/256 for a tanh.
bool HasFixedOutput(const graph::Node& op, const numerics::QuantParams& output) {
  const auto* call = std::get_if<graph::OperatorAttributes>(&op.attributes);
  const bool tanh = call != nullptr && call->name == "aten::tanh";
  if (output.per_channel() || output.quant_min != 0) return false;
  if (tanh) return output.scale() == 2.0 / 256 && output.zero_point() == 128;
  return op.kind == OpKind::kHardsigmoid && output.scale() == 1.0 / 256 && output.zero_point() == 0;
}

bool HasQuantizedOperator(const graph::Node& op, const graph::Node& quantize) {
  const auto* own = std::get_if<graph::QuantizeAttributes>(&quantize.attributes);
  switch (op.kind) {
    case OpKind::kAdd:
    case OpKind::kMul:
    case OpKind::kConcat:
    case OpKind::kHardswish:
    case OpKind::kRelu:
    case OpKind::kMaxPool2d:
    case OpKind::kAvgPool2d:
    case OpKind::kAdaptiveAvgPool2d:
    case OpKind::kMean:
    case OpKind::kClamp:
    case OpKind::kFlatten:
    case OpKind::kReshape:
    case OpKind::kPermute:
      return true;
    case OpKind::kSigmoid:
    case OpKind::kBatchNorm:
      return own != nullptr;
    case OpKind::kHardsigmoid:
      return own != nullptr && HasFixedOutput(op, own->qparams);
    case OpKind::kOperator: {
      const auto& call = std::get<graph::OperatorAttributes>(op.attributes);
      if (op.outputs.size() != 1) return false;
      if (own == nullptr) return KeepsQparams(call.name);
      return FindNamed(call.name) != nullptr || HasFixedOutput(op, own->qparams);
    }
    default:
      return false;
  }
}

// How many of an operator's inputs are codes; the others stay real.
std::size_t CodeInputs(const graph::Node& op) {
  if (op.kind == OpKind::kBatchNorm) return 1;
  const auto* call = std::get_if<graph::OperatorAttributes>(&op.attributes);
  if (call != nullptr && call->name != "aten::matmul" && call->name != "aten::prelu") return 1;
  return op.inputs.size();
}

at::Tensor RunNamed(const EngineCall& call, const NamedOperator& named, std::span<const at::Tensor> in,
                    std::span<const at::Tensor> reals, const numerics::QuantParams& output) {
  torch::jit::Stack stack(in.begin(), in.end());
  for (std::size_t i = 0; i < named.count; ++i) {
    if (named.arguments[i] == kScale) {
      stack.emplace_back(output.scale());
      stack.emplace_back(output.zero_point());
    } else if (named.arguments[i] == kFalse) {
      stack.emplace_back(false);
    } else {
      stack.push_back(std::visit(ArgumentToIValue{reals, in.size()}, ArgumentAt(*call.op, static_cast<std::size_t>(named.arguments[i]))));
    }
  }
  return CallOperator(named.quantized, "", std::move(stack)).toTensor();
}

at::Tensor RunByName(const EngineCall& call, std::span<const at::Tensor> in, std::span<const at::Tensor> reals,
                     const numerics::QuantParams& output, bool keeps_qparams) {
  const auto& name = std::get<graph::OperatorAttributes>(call.op->attributes).name;
  const NamedOperator* named = keeps_qparams ? nullptr : FindNamed(name);
  if (named != nullptr) return RunNamed(call, *named, in, reals, output);
  if (name == "aten::tanh") return at::tanh(in[0]);
  std::vector<at::Tensor> inputs(in.begin(), in.end());
  inputs.insert(inputs.end(), reals.begin(), reals.end());
  return RunOperatorNode(*call.op, inputs).front();
}

}  // namespace

std::optional<EngineCall> FindEngineCall(const graph::Graph& graph, const graph::Node& node) {
  if (node.kind != OpKind::kQuantize && node.kind != OpKind::kQuantizeLike) return std::nullopt;
  // The model itself quantizes what a float operator gave: it has no quantized operator there.
  if (node.source_op == "aten::quantize_per_tensor") return std::nullopt;
  EngineCall call;
  call.keeps_qparams = node.kind == OpKind::kQuantizeLike;
  call.op = graph.producer(node.inputs[0]);
  if (call.op != nullptr && call.op->kind == OpKind::kRelu) {
    const graph::Node* before = graph.producer(call.op->inputs[0]);
    if (before != nullptr &&
        (before->kind == OpKind::kAdd || before->kind == OpKind::kMul || before->kind == OpKind::kBatchNorm)) {
      call.op = before;
      call.relu = true;
    }
  }
  if (call.op == nullptr || !HasQuantizedOperator(*call.op, node)) return std::nullopt;
  const std::size_t codes = CodeInputs(*call.op);
  for (std::size_t i = 0; i < call.op->inputs.size(); ++i) {
    const graph::ValueId input = call.op->inputs[i];
    if (i >= codes) {
      call.reals.push_back(input);
      continue;
    }
    const graph::Node* dequantize = graph.producer(input);
    if (dequantize == nullptr || dequantize->kind != OpKind::kDequantize) return std::nullopt;
    call.inputs.push_back(dequantize->inputs[0]);
  }
  if (call.inputs.empty()) return std::nullopt;
  return call;
}

at::Tensor InEngineLayout(const at::Tensor& output) {
  if (output.dim() == 4) return output.contiguous(at::MemoryFormat::ChannelsLast);
  if (output.dim() == 5) return output.contiguous(at::MemoryFormat::ChannelsLast3d);
  return output;
}

at::Tensor RunEngineCall(const EngineCall& call, std::span<const QuantizedOperand> inputs, std::span<const at::Tensor> reals,
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
    case OpKind::kSigmoid:
      result = CallOperator("quantized::sigmoid", "", {in[0], output.scale(), output.zero_point()}).toTensor();
      break;
    case OpKind::kHardsigmoid:
      result = at::hardsigmoid(in[0]);
      break;
    case OpKind::kBatchNorm:  // gamma, beta, mean, variance
      result = CallOperator(call.relu ? "quantized::batch_norm_relu" : "quantized::batch_norm", "",
                            {in[0], reals[0], reals[1], reals[2], reals[3],
                             std::get<graph::BatchNormAttributes>(call.op->attributes).epsilon, output.scale(),
                             output.zero_point()}).toTensor();
      break;
    case OpKind::kOperator:
      result = RunByName(call, in, reals, output, call.keeps_qparams);
      break;
    // The rest keeps its input's qparams; the float operators dispatch to their quantized kernels.
    default:
      result = RunFloatOperator(*call.op, in);
  }
  return at::int_repr(result).to(at::kInt);
}

}  // namespace qatgap::execution
