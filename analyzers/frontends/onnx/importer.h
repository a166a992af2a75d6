// Walks an ONNX graph node by node and emits ours. Internal to frontends/onnx.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "analyzers/frontends/onnx/module_names.h"
#include "analyzers/frontends/onnx/node_view.h"
#include "analyzers/graph/graph.h"

namespace onnx {
class ModelProto;
class TypeProto;
class ValueInfoProto;
}

namespace qatgap::frontends::onnx {

// A shape that may be known in part, or not at all.
using MaybeShape = std::optional<graph::Shape>;

class Importer {
 public:
  using Handler = Results (*)(Importer&, const NodeView&);
  static constexpr int kMaxDepth = 16;             // of nested subgraphs
  static constexpr std::size_t kMaxNodes = 1u << 18;  // after loops are unrolled

  Importer(const ::onnx::ModelProto& model, int opset) : model_(model), opset_(opset) {}

  absl::Status Run();
  graph::Graph& graph() { return graph_; }
  bool saw_integer_weight() const { return saw_integer_weight_; }
  bool saw_quantize() const { return saw_quantize_; }
  bool saw_quantized_operator() const { return saw_quantized_operator_; }

  // --- for operators ---

  // Input i as a real (or integer, or bool) value of the graph: constants are emitted. Codes are refused.
  absl::StatusOr<Symbol> Operand(const NodeView& node, std::size_t i);
  // Codes made real again; their grid stays in `codes`, so that Moved() can put the result back on it.
  absl::StatusOr<Symbol> MovingOperand(const NodeView& node, std::size_t i);
  Slot Moved(const Symbol& operand, graph::ValueId result, std::optional<graph::Shape> shape);
  // Input i as integers known now. FAILED_PRECONDITION naming `what` if they are not.
  absl::StatusOr<std::vector<std::int64_t>> KnownIntegers(const NodeView& node, std::size_t i,
                                                          std::string_view what) const;
  // Input i as one known real number.
  absl::StatusOr<double> KnownNumber(const NodeView& node, std::size_t i, std::string_view what) const;

  graph::ValueId Emit(graph::OpKind kind, std::vector<graph::ValueId> inputs, graph::Attributes attributes = {});
  // An operator of LibTorch by name: "aten::softmax", "int". The tensors in `inputs` are named by TensorArgument.
  graph::ValueId Call(std::string_view name, std::string_view overload, std::vector<graph::ValueId> inputs,
                      std::vector<graph::Argument> arguments);
  std::vector<graph::ValueId> CallMany(std::string_view name, std::string_view overload,
                                       std::vector<graph::ValueId> inputs, std::vector<graph::Argument> arguments,
                                       int output_count);
  // Constants stand in the body, in front of every block that reads them.
  graph::ValueId Constant(graph::Tensor value);
  graph::ValueId CodeConstant(graph::Tensor codes, numerics::QuantParams qparams);
  Symbol Quantize(graph::ValueId real, numerics::QuantParams qparams, int type, std::optional<graph::Shape> shape);
  graph::ValueId Dequantize(graph::ValueId codes) { return Emit(graph::OpKind::kDequantize, {codes}); }
  // Whether the value depends on constants alone.
  bool IsConstant(graph::ValueId value) const { return constant_[static_cast<std::size_t>(value)]; }
  // A constant real value with its axes permuted; quantized ones keep their codes, and their channel axis moves along.
  graph::ValueId PermuteConstant(graph::ValueId real, const std::vector<std::int64_t>& permutation);

  // The number of samples that the model was exported for; kUnknown where that is open.
  std::int64_t batch() const { return batch_; }

  void set_saw_integer_weight() { saw_integer_weight_ = true; }
  void set_saw_quantize() { saw_quantize_ = true; }
  void set_saw_quantized_operator() { saw_quantized_operator_ = true; }

  // --- for control flow ---

  // Runs the nodes of `graph` in a scope of its own, emitting to `block`; `bound` are its inputs. Gives its outputs.
  absl::StatusOr<std::vector<Slot>> RunSubgraph(const ::onnx::GraphProto& graph, graph::Block& block,
                                                std::map<std::string, Slot> bound);
  graph::Block& block() { return *block_; }
  std::vector<graph::ValueId> EmitIf(graph::ValueId predicate, graph::IfAttributes branches, int output_count);
  // A slot as a value that a branch can give out; codes stay codes.
  absl::StatusOr<Symbol> AsSymbol(const Slot& slot);

 private:
  absl::Status DefineInputs();
  absl::Status DefineInitializers(const ::onnx::GraphProto& graph);
  void ReadValueInfo(const ::onnx::GraphProto& graph);
  void FindBatch();
  MaybeShape DeclaredShape(const ::onnx::ValueInfoProto& info) const;
  absl::Status RunNodes(const ::onnx::GraphProto& graph);
  absl::Status RunNode(const ::onnx::NodeProto& proto);
  void NameModule(const ::onnx::NodeProto& proto);
  absl::Status Define(const std::string& name, Slot slot);
  const Slot* Find(const std::string& name) const;
  const std::string& InitializerBehind(const std::string& name) const;
  graph::NodeId AddNode(graph::Block& block, graph::OpKind kind, std::vector<graph::ValueId> inputs,
                        graph::Attributes attributes, int output_count);

  const ::onnx::ModelProto& model_;
  int opset_;
  graph::Graph graph_;
  graph::Block* block_ = &graph_.body;
  std::vector<std::map<std::string, Slot>> scopes_;
  std::map<std::string, std::string> initializer_behind_;  // of what only reshapes or quantizes one
  std::map<std::string, graph::Shape> declared_;           // value_info
  std::map<std::string, int> module_calls_;
  std::vector<bool> constant_;                             // by value
  std::int64_t batch_ = kUnknown;
  std::string batch_name_;                                 // the name of an open batch: "batch"
  NodeOrigin current_;
  std::string current_op_;
  std::size_t nodes_run_ = 0;
  bool saw_integer_weight_ = false, saw_quantize_ = false, saw_quantized_operator_ = false;
};

// Handlers by operator type, one list a file; nullptr where the list has none.
Importer::Handler FindQuantizationOperator(std::string_view op_type);
Importer::Handler FindQuantizedOperator(std::string_view op_type);
Importer::Handler FindMacOperator(std::string_view op_type);
Importer::Handler FindElementwiseOperator(std::string_view op_type);
Importer::Handler FindWindowOperator(std::string_view op_type);
Importer::Handler FindConstantOperator(std::string_view op_type);
Importer::Handler FindSelectionOperator(std::string_view op_type);
Importer::Handler FindExpansionOperator(std::string_view op_type);
Importer::Handler FindLayoutOperator(std::string_view op_type);
Importer::Handler FindReductionOperator(std::string_view op_type);
Importer::Handler FindResizeOperator(std::string_view op_type);
Importer::Handler FindControlFlowOperator(std::string_view op_type);

// --- shapes that are known in part ---

// Of all extents; kUnknown where one is not known, or the batch comes in twice.
std::int64_t ProductOf(const graph::Shape& shape);
MaybeShape BroadcastShape(const MaybeShape& a, const MaybeShape& b);
// `axis` as 0..rank-1; nullopt if it is negative and the rank is not known, or out of range.
std::optional<std::int64_t> NormalAxis(std::int64_t axis, const MaybeShape& shape);
std::optional<std::size_t> RankOf(const MaybeShape& shape);
// Literal's own, symbol's tracked.
MaybeShape ShapeOf(const Slot& slot);

inline std::vector<Slot> One(Slot slot) {
  std::vector<Slot> slots;
  slots.push_back(std::move(slot));
  return slots;
}

}  // namespace qatgap::frontends::onnx
