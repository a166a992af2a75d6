// The intermediate representation: a model as operations on reals with explicit quantize and dequantize nodes.
//
// A value is a real tensor, or the codes that a kQuantize / kQuantizeLike node made of one. The qparams of codes
// travel with the value when the graph runs, so a kDequantize behind an If needs none of its own.
// A fake-quant of a QAT model is kQuantize followed by kDequantize; quantized::conv2d_relu of a converted model is
// kDequantize, kConvolution, kRelu, kQuantize. All blocks share one table of values and one of nodes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "analyzers/graph/tensor.h"
#include "analyzers/numerics/fake_quantize.h"
#include "analyzers/numerics/quant_params.h"

namespace qatgap::graph {

using ValueId = std::int32_t;
using NodeId = std::int32_t;

enum class OpKind {
  kConstant,          // attributes: ConstantAttributes; codes when it has qparams
  kQuantize,          // (x) -> codes; QuantizeAttributes
  kQuantizeLike,      // (x, codes) -> codes with the qparams of the second input
  kDequantize,        // (codes) -> real
  kConvolution,       // (x, w[, bias]); ConvolutionAttributes
  kLinear,            // (x, w[, bias]): y = x w^T + bias over the last axis
  kBatchNorm,         // (x, gamma, beta, mean, variance); BatchNormAttributes
  kAdd, kSub, kMul, kDiv,  // (a, b), broadcasting
  kRelu,              // (x)
  kClamp,             // (x); ClampAttributes (relu6, hardtanh)
  kHardswish, kHardsigmoid, kSigmoid,  // (x)
  kConcat,            // (x...); AxisAttributes
  kMaxPool2d, kAvgPool2d,  // (x); PoolAttributes
  kAdaptiveAvgPool2d, // (x); SizesAttributes: output size
  kMean, kSum,        // (x); ReduceAttributes; no axes: over all elements, a scalar
  kFlatten,           // (x); FlattenAttributes
  kReshape,           // (x); SizesAttributes: 0 keeps the input's extent of that axis, -1 infers
  kPermute,           // (x); SizesAttributes: the order of axes
  kGreater, kGreaterEqual, kLess, kLessEqual,  // (a, b) -> bool, broadcasting
  kIf,                // (predicate: one bool) -> outputs of the branch; IfAttributes
  kOperator,          // any other pure operator of LibTorch's registry, by name, in float; OperatorAttributes
};

std::string_view ToString(OpKind kind);

// The range an observer holds, from which convert() computes qparams anew: they can differ from the fake-quant's own.
struct ObservedRange {
  std::vector<float> min, max;  // one, or one per channel
  float epsilon = 0;            // smallest scale
  bool symmetric = false;
  std::int64_t quant_min = 0, quant_max = 255;  // of the observer
  bool is_signed = false;       // qint8, not quint8
  // Of a weight's observer that is still on: eager and FX convert() show it the weight once more and move the range by
  // this share of the way (the observer's averaging constant). 0: it is off.
  float averaging = 0;
  friend bool operator==(const ObservedRange&, const ObservedRange&) = default;
};
// What fake-quantized weight codes were made of, as far as the file tells: what convert() starts from.
struct WeightOrigin {
  struct BatchNorm {
    std::vector<float> gamma, beta, mean, variance;
    float epsilon = 0;
  };
  Tensor real;                             // float32, before a batch norm was folded in; shaped as the codes
  std::optional<BatchNorm> batch_norm;     // that the QAT module folds into `real` by gamma / sqrt(variance + epsilon)
  std::optional<ObservedRange> observed;   // absent: a fake-quant of fixed scales
};

struct ConstantAttributes {
  Tensor value;
  std::optional<numerics::QuantParams> qparams;  // set: `value` holds codes as int32
  std::shared_ptr<const WeightOrigin> origin{};  // of fake-quantized weights, where known
};
struct QuantizeAttributes {
  numerics::QuantParams qparams;
  std::shared_ptr<const ObservedRange> observed{};  // of a fake-quant with an observer, where known
  numerics::StepRule rule = numerics::StepRule::kMultiplyReciprocal;
};
struct ConvolutionAttributes {
  std::vector<std::int64_t> stride, padding, dilation;  // one entry per spatial axis
  std::int64_t groups = 1;
  bool transposed = false;
  std::vector<std::int64_t> output_padding;
  friend bool operator==(const ConvolutionAttributes&, const ConvolutionAttributes&) = default;
};
struct BatchNormAttributes {
  double epsilon = 1e-5;
};
struct ClampAttributes {
  double min = 0, max = 6;
};
struct AxisAttributes {
  std::int64_t axis = 0;
};
struct PoolAttributes {
  std::vector<std::int64_t> kernel, stride, padding, dilation;
  bool ceil_mode = false;
  bool count_include_pad = true;
  std::optional<std::int64_t> divisor_override;
};
struct SizesAttributes {
  std::vector<std::int64_t> sizes;
};
struct ReduceAttributes {
  std::vector<std::int64_t> axes;
  bool keep_dims = false;
};
struct FlattenAttributes {
  std::int64_t start_axis = 0, end_axis = -1;
};

struct Block {
  std::vector<NodeId> nodes;      // in execution order
  std::vector<ValueId> outputs;
};
struct IfAttributes {
  Block then_block, else_block;
};

// An argument of a kOperator, in the order of the operator's schema; trailing defaults may be left out.
struct TensorArgument {
  int input = 0;  // index into Node::inputs
};
struct TensorListArgument {
  std::vector<int> inputs;  // -1: None
};
using Argument = std::variant<std::monostate /* None */, TensorArgument, TensorListArgument, bool, std::int64_t, double,
                              std::string, std::vector<std::int64_t>, std::vector<double>, std::vector<bool>>;
struct OperatorAttributes {
  std::string name;      // "aten::layer_norm"
  std::string overload;  // "dim_IntList"; mostly empty
  std::vector<Argument> arguments;
};

using Attributes =
    std::variant<std::monostate, ConstantAttributes, QuantizeAttributes, ConvolutionAttributes,
                 BatchNormAttributes, ClampAttributes, AxisAttributes, PoolAttributes, SizesAttributes,
                 ReduceAttributes, FlattenAttributes, IfAttributes, OperatorAttributes>;

struct Node {
  OpKind kind = OpKind::kConstant;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  Attributes attributes;
  std::string module_path;  // "features.0.conv"; empty at the root
  std::string source_op;    // "quantized::conv2d_relu": what the file called it
  std::string source_line{};  // "model.py:42", where the file tells; never a whole path
  std::string module_stack{}; // "Net > layer1: Sequential > layer1.0: Conv2d", where the file tells
};

struct Value {
  std::string name;
  NodeId producer = -1;  // -1: an input of the graph
};

// Something the frontend noticed that changes what the user should believe.
enum class NoticeKind {
  kObserverFrozen,     // an observer was left on in eval mode; its running range was frozen
  kFakeQuantDisabled,  // a fake-quant module was switched off: the value passes unrounded
  kTwinRebuilt,        // the fake-quant graph was rebuilt from a converted one
  kFloatBiases,        // its biases come from a float model
  kWeightsKept,        // the file does not tell what weights were quantized from: lowering kept the QAT model's codes
  kPairedByOrder,      // layers of two models were paired in execution order, since their names do not match
};
struct Notice {
  NoticeKind kind;
  std::string module_path;
  std::string detail;
};

// Whose conversion an integer model follows where none was given: PyTorch's two converters do not compute alike.
enum class ConvertStyle {
  kEager,  // torch.ao.quantization.convert
  kFx,     // convert_fx: as kEager, but it does not clamp weight codes to the observer's range
  kPt2e,   // convert_pt2e
  kAsIs,   // the fake-quants are the integer grids (ONNX QDQ)
};

struct Graph {
  std::vector<Value> values;
  std::vector<Node> nodes;
  std::vector<ValueId> inputs;
  // By input, where the file declares them; -1: an extent that is not fixed. Axis 0 is -1 where the graph takes any batch.
  std::vector<Shape> input_shapes{};
  Block body;                       // body.outputs are the model's outputs, flattened
  std::vector<std::string> output_names;
  std::vector<Notice> notices;
  ConvertStyle convert_style = ConvertStyle::kEager;
  // Numbers of axes that the frontend took the inputs to have, where the file does not tell: others are refused at run
  // time. Empty, or one per input; 0: any.
  std::vector<std::size_t> assumed_ranks{};

  ValueId AddValue(std::string name);
  // Name of the i-th input: what samples of several inputs are matched by.
  const std::string& input_name(std::size_t i) const { return values[static_cast<std::size_t>(inputs[i])].name; }
  // Appends a node with `output_count` new values to `block` and returns its id.
  NodeId AddNode(Block& block, Node node, int output_count = 1);
  const Node* producer(ValueId value) const;  // nullptr for an input
  bool has_control_flow() const;
};

// Checks the rules of the representation: ids in range, every value defined before use and once, attributes of the
// kind's type, input counts, codes only where codes may be. INTERNAL naming the node if not.
absl::Status Verify(const Graph& graph);

// A readable listing, one node a line, for tests and debugging.
std::string ToString(const Graph& graph);

}  // namespace qatgap::graph
