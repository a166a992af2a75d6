// Evaluates the methods of a TorchScript module symbolically and builds a graph. Internal to this folder: includes
// LibTorch. Functions throw ImportError (ours) or c10::Error; torchscript_frontend.cc turns both into a Status.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "analyzers/frontends/torchscript/extents.h"
#include "analyzers/frontends/torchscript/slots.h"
#include "analyzers/graph/graph.h"

namespace qatgap::frontends::torchscript {

class ImportError : public std::exception {
 public:
  explicit ImportError(absl::Status status) : status_(std::move(status)), what_(status_.ToString()) {}
  const absl::Status& status() const { return status_; }
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  absl::Status status_;
  std::string what_;
};

class Evaluator {
 public:
  // `ranks`: numbers of axes of inputs, by name, where they are known.
  explicit Evaluator(const torch::jit::Module& module, std::map<std::string, std::size_t> ranks = {});

  // Evaluates forward(); afterwards graph() is complete.
  void Run();

  graph::Graph& graph() { return graph_; }
  bool saw_fake_quant() const { return saw_fake_quant_; }
  bool saw_quantized_operator() const { return saw_quantized_operator_; }
  bool saw_script() const { return saw_script_; }
  bool saw_unknown_size() const { return saw_unknown_size_; }
  // Every input of the graph with this number of axes.
  std::map<std::string, std::size_t> AllInputs(std::size_t rank) const;

  // --- for the operator handlers ---
  using Inputs = std::vector<Slot>;
  using Handler = Slot (*)(Evaluator&, const Inputs&);

  // The real value of an operand: symbolic codes are dequantized, constants and numbers become constants.
  graph::ValueId Real(const Slot& slot);
  // As Real, with a whole number kept whole: a number beside integers must not make them float32.
  graph::ValueId Operand(const Slot& slot, const Slot& beside);
  // The tensor that is codes; throws when it is not.
  graph::ValueId Codes(const Slot& slot) const;
  // The real value of codes, of the input or of a quantized constant; throws when the operand is neither.
  graph::ValueId Dequantized(const Slot& slot);
  bool IsSigned(const Slot& codes) const;
  const c10::IValue& Concrete(const Slot& slot, std::string_view what) const;
  std::int64_t Int(const Slot& slot, std::string_view what) const { return Concrete(slot, what).toInt(); }
  std::vector<std::int64_t> Ints(const Slot& slot, std::string_view what) const;
  std::vector<Slot> Items(const Slot& slot, std::string_view what) const;
  // Type of a value's elements as far as operators tell; an input of the graph counts as float32.
  at::ScalarType TypeOf(graph::ValueId value) const;
  ShapeTable& shapes() { return shapes_; }

  // Adds a node to the current block and returns its only output.
  graph::ValueId Emit(graph::OpKind kind, std::vector<graph::ValueId> inputs, graph::Attributes attributes = {});
  // An operator of LibTorch's registry, by name.
  graph::ValueId EmitOperator(std::string name, std::string overload, std::vector<graph::ValueId> inputs,
                              std::vector<graph::Argument> arguments);
  // Codes with the qparams of `codes`.
  Symbol QuantizeLike(graph::ValueId real, const Symbol& codes);
  // The real value that operators made of `x`, which keeps its qparams when that is quantized.
  Slot Like(graph::ValueId real, const Slot& x);
  // An operator of one tensor that keeps its input's qparams when that is quantized.
  Slot EmitLike(graph::OpKind kind, const Slot& x, graph::Attributes attributes = {});
  // Codes of the whole range of quint8 or qint8.
  Symbol EmitQuantize(graph::ValueId real, double scale, std::int64_t zero_point, bool is_signed);
  Symbol Clone(Symbol symbol);
  // A copy: an operator in place may change the file's tensor later. Refuses types that graph::Tensor lacks.
  graph::Tensor Copy(const at::Tensor& tensor) const;
  // A constant in the root block, made once per tensor; of a quantized tensor its dequantized codes.
  graph::ValueId Constant(const at::Tensor& tensor);
  graph::ValueId CodeConstant(graph::ConstantAttributes constant);
  graph::ValueId QuantizedConstant(const at::Tensor& tensor);
  // The code constant behind a dequantize, or nullptr.
  const graph::ConstantAttributes* CodesBehind(graph::ValueId real) const;
  // The same weight with its two axes exchanged; nullopt when `real` is no quantized constant of two axes.
  std::optional<graph::ValueId> TransposedCodes(graph::ValueId real);
  void Notice(graph::NoticeKind kind, std::string detail);
  void set_saw_fake_quant() { saw_fake_quant_ = true; }
  void set_saw_quantized_operator() { saw_quantized_operator_ = true; }
  // Module path of the code being evaluated.
  const std::string& path() const { return calls_.back().path; }
  // The module being evaluated, and the one at a path; nullptr where there is none.
  const c10::ivalue::Object* module() const { return calls_.back().self; }
  const c10::ivalue::Object* ModuleAt(const std::string& path) const;
  // The number that the file last added to this tensor of a module; nullopt when it added none.
  std::optional<double> AddedTo(const at::Tensor& tensor) const;
  const std::string& source_op() const { return source_op_; }
  [[noreturn]] void Refuse(std::string_view what, std::string_view remedy) const;
  // FAILED_PRECONDITION unless the qparams are valid; `what` is completed by the module's path.
  void Check(const numerics::QuantParams& params, std::string_view what) const;
  // Number of the branch being evaluated; 0 outside of data-dependent branches.
  int branch() const { return branch_; }

 private:
  using Frame = std::unordered_map<const torch::jit::Value*, Slot>;
  struct ActiveCall {
    Frame* frame = nullptr;
    const torch::jit::Node* at = nullptr;        // being evaluated
    const c10::ivalue::Object* self = nullptr;
    std::string path;
  };

  std::vector<graph::ValueId> AddNode(graph::OpKind kind, std::vector<graph::ValueId> inputs, graph::Attributes attributes,
                                      int output_count);
  at::ScalarType ResultType(const graph::Node& node, std::size_t output) const;
  void NamePaths(const torch::jit::Module& module, const std::string& path);
  std::vector<Slot> Call(torch::jit::Function& function, const Inputs& inputs);
  std::vector<Slot> EvaluateBlock(const torch::jit::Block* block, Frame& frame);
  void EvaluateNode(const torch::jit::Node* node, Frame& frame);
  // structure.cc: calls, attributes, tests of types; false where the node is none of them.
  bool EvaluateStructure(const torch::jit::Node* node, Frame& frame, const Inputs& inputs);
  bool EvaluateQuestion(const torch::jit::Node* node, Frame& frame, const Inputs& inputs);
  void EvaluateCall(const torch::jit::Node* node, Frame& frame, const Inputs& inputs);
  void Execute(const torch::jit::Node* node, Frame& frame, const Inputs& inputs);
  // containers.cc: lists, tuples, dicts.
  bool EvaluateContainer(const torch::jit::Node* node, Frame& frame, const Inputs& inputs);
  bool EvaluateListOperator(const torch::jit::Node* node, Frame& frame, const Inputs& inputs);
  bool EvaluateDictOperator(const torch::jit::Node* node, Frame& frame, const Inputs& inputs);
  Slot ItemOfInput(SlotList& list, std::size_t index);
  // size_arithmetic.cc: numbers made of the input's shape.
  bool EvaluateSizes(const torch::jit::Node* node, Frame& frame, const Inputs& inputs);
  // A constant that is repeated along the batch: expand(b, -1, -1), zeros([b, 4]).
  bool EvaluateRepeated(const torch::jit::Node* node, Frame& frame, const Inputs& inputs);
  // control_flow.cc
  void EvaluateIf(const torch::jit::Node* node, Frame& frame);
  void EmitIf(const torch::jit::Node* node, SymbolicBool predicate, Frame& frame);
  void EvaluateLoop(const torch::jit::Node* node, Frame& frame);
  void CountStep();
  void EvaluateOperator(const torch::jit::Node* node, Frame& frame, const Inputs& inputs);
  // operator_call.cc: an operator without a handler of its own; false when it is not on the list.
  bool CallByName(const torch::jit::Node* node, Frame& frame, const Inputs& inputs, const std::string& pure_name);
  graph::Argument ToArgument(const c10::Argument& parameter, const Slot& slot, std::vector<graph::ValueId>& inputs);
  // in_place.cc
  void Overwrite(const Slot& target, const Slot& result);
  void RefuseLiveViews(graph::ValueId target) const;
  // model_interface.cc: inputs and outputs of the model.
  Slot MakeInput(const c10::Argument& parameter);
  Slot MakeInput(const c10::TypePtr& type, const std::string& name);
  Symbol TensorInput(const std::string& name);
  void AddOutputs(const Slot& slot, const std::string& name);
  // provenance.cc: where in the user's program a node stands.
  std::string SourceLine() const;
  const std::string& ModuleStack();

  const torch::jit::Module& module_;
  std::map<std::string, std::size_t> ranks_;
  graph::Graph graph_;
  ShapeTable shapes_{graph_};
  std::unordered_map<graph::ValueId, at::ScalarType> types_;  // of values that are not float32
  graph::Block constants_;           // prepended to the body: constants are visible in every block
  graph::Block* block_ = nullptr;
  std::map<const void*, std::string> paths_;  // of module objects
  std::map<std::string, const c10::ivalue::Object*> modules_;
  std::map<std::string, std::string> module_stacks_;  // by path
  std::map<const void*, graph::ValueId> constant_of_;
  std::map<const void*, double> added_;  // numbers added to tensors: epsilon to a variance
  std::vector<at::Tensor> kept_;     // keeps the keys of constant_of_ alive
  std::vector<ActiveCall> calls_{ActiveCall{}};
  std::string source_op_;
  std::int64_t steps_ = 0;
  int branch_ = 0, branches_ = 0;
  graph::ValueId first_value_of_branch_ = 0;
  int copies_ = 0;
  bool saw_fake_quant_ = false, saw_quantized_operator_ = false, saw_script_ = false, saw_unknown_size_ = false;
};

// The first line of LibTorch's message: without its backtrace and the addresses in it.
std::string FirstLine(const std::exception& error);

// The handler of an operator, or nullptr. Each list is one function in its own file.
Evaluator::Handler FindMacOperator(std::string_view name);
Evaluator::Handler FindFloatOperator(std::string_view name);
Evaluator::Handler FindShapeOperator(std::string_view name);
Evaluator::Handler FindFakeQuantOperator(std::string_view name);
Evaluator::Handler FindQuantizedOperator(std::string_view name);
Evaluator::Handler FindQuantizedMacOperator(std::string_view name);

// What LibTorch's own operator does with codes: gives codes of the same qparams, and how.
bool HasKernelOnCodes(std::string_view name);

}  // namespace qatgap::frontends::torchscript
