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
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "absl/status/status.h"
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

// A tensor that depends on the model's input.
struct Symbol {
  graph::ValueId value = -1;
  bool codes = false;      // quantized
  bool is_signed = false;  // of codes: qint8, not quint8
  int copy = 0;            // clones share the value but not the memory: each has its own number
};
// The truth of a one-element tensor that depends on the input.
struct SymbolicBool {
  graph::ValueId value = -1;
  bool negated = false;
};
// Depends on the shape of the input, or on something that has no value here.
struct Unknown {
  graph::ValueId tensor = -1;  // set: the sizes of this tensor
  int axis = -1;               // set too: its extent along this axis
};
struct SlotList;
// What a TorchScript value is while a method is evaluated; IValue: computed from attributes alone.
using Slot = std::variant<c10::IValue, Symbol, SymbolicBool, Unknown, std::shared_ptr<SlotList>>;
struct SlotList {
  std::vector<Slot> items;
  int branch = 0;  // where it was made, see Evaluator::branch_
};

class Evaluator {
 public:
  explicit Evaluator(const torch::jit::Module& module);

  // Evaluates forward(); afterwards graph() is complete.
  void Run();

  graph::Graph& graph() { return graph_; }
  bool saw_fake_quant() const { return saw_fake_quant_; }
  bool saw_quantized_operator() const { return saw_quantized_operator_; }
  bool saw_script() const { return saw_script_; }

  // --- for the operator handlers ---
  using Inputs = std::vector<Slot>;
  using Handler = Slot (*)(Evaluator&, const Inputs&);

  // The real value of an operand: symbolic codes are dequantized, constants and numbers become constants.
  graph::ValueId Real(const Slot& slot);
  // The tensor that is codes; throws when it is not.
  graph::ValueId Codes(const Slot& slot) const;
  static bool IsCodes(const Slot& slot);
  static bool IsNone(const Slot& slot);
  const c10::IValue& Concrete(const Slot& slot, std::string_view what) const;
  std::int64_t Int(const Slot& slot, std::string_view what) const { return Concrete(slot, what).toInt(); }
  std::vector<std::int64_t> Ints(const Slot& slot, std::string_view what) const;
  // The sizes of a reshape of `x`: an extent that a tensor of x's shape has on that axis, or any batch, becomes 0.
  std::vector<std::int64_t> ReshapeSizes(const Slot& slot, const Slot& x) const;
  std::vector<Slot> Items(const Slot& slot, std::string_view what) const;

  // Adds a node to the current block and returns its only output.
  graph::ValueId Emit(graph::OpKind kind, std::vector<graph::ValueId> inputs, graph::Attributes attributes = {});
  // An operator of one tensor that keeps its input's qparams when that is quantized.
  Slot EmitLike(graph::OpKind kind, const Slot& x, graph::Attributes attributes = {});
  // Codes of the whole range of quint8 or qint8.
  Symbol EmitQuantize(graph::ValueId real, double scale, std::int64_t zero_point, bool is_signed);
  Symbol Clone(Symbol symbol);
  // A copy: an operator in place may change the file's tensor later. Refuses types that graph::Tensor lacks.
  graph::Tensor Copy(const at::Tensor& tensor) const;
  // A constant in the root block, made once per tensor; of a quantized tensor its dequantized codes.
  graph::ValueId Constant(const at::Tensor& tensor);
  graph::ValueId CodeConstant(graph::Tensor codes, numerics::QuantParams params);
  graph::ValueId QuantizedConstant(const at::Tensor& tensor);
  void Notice(graph::NoticeKind kind, std::string detail);
  void set_saw_fake_quant() { saw_fake_quant_ = true; }
  void set_saw_quantized_operator() { saw_quantized_operator_ = true; }
  // Module path of the code being evaluated.
  const std::string& path() const { return path_stack_.back(); }
  [[noreturn]] void Refuse(std::string_view what, std::string_view remedy) const;
  // FAILED_PRECONDITION unless the qparams are valid; `what` is completed by the module's path.
  void Check(const numerics::QuantParams& params, std::string_view what) const;
  // Number of the branch being evaluated; 0 outside of data-dependent branches.
  int branch() const { return branch_; }

 private:
  using Frame = std::unordered_map<const torch::jit::Value*, Slot>;

  graph::ValueId ShapeRoot(graph::ValueId value) const;
  void NamePaths(const torch::jit::Module& module, const std::string& path);
  std::vector<Slot> Call(torch::jit::Function& function, const Inputs& inputs);
  std::vector<Slot> EvaluateBlock(const torch::jit::Block* block, Frame& frame);
  void EvaluateNode(const torch::jit::Node* node, Frame& frame);
  bool EvaluateStructure(const torch::jit::Node* node, Frame& frame, const Inputs& inputs);
  void EvaluateCall(const torch::jit::Node* node, Frame& frame, const Inputs& inputs);
  void EvaluateIf(const torch::jit::Node* node, Frame& frame);
  void EmitIf(const torch::jit::Node* node, SymbolicBool predicate, Frame& frame);
  void EvaluateLoop(const torch::jit::Node* node, Frame& frame);
  void Execute(const torch::jit::Node* node, Frame& frame, const Inputs& inputs);
  void EvaluateOperator(const torch::jit::Node* node, Frame& frame, const Inputs& inputs);
  bool EvaluateListOperator(const torch::jit::Node* node, Frame& frame, const Inputs& inputs);
  void CountStep();
  void Overwrite(const Symbol& target, const Slot& result);
  void AddOutputs(const Slot& slot, const std::string& name);

  const torch::jit::Module& module_;
  graph::Graph graph_;
  graph::Block constants_;           // prepended to the body: constants are visible in every block
  graph::Block* block_ = nullptr;
  std::map<const void*, std::string> paths_;  // of module objects
  std::map<const void*, graph::ValueId> constant_of_;
  std::vector<at::Tensor> kept_;     // keeps the keys of constant_of_ alive
  std::vector<std::string> path_stack_{""};
  std::vector<Frame*> frames_;       // of the calls being evaluated
  std::string source_op_;
  std::int64_t steps_ = 0;
  int depth_ = 0;
  int branch_ = 0, branches_ = 0;
  graph::ValueId first_value_of_branch_ = 0;
  int copies_ = 0;
  bool saw_fake_quant_ = false, saw_quantized_operator_ = false, saw_script_ = false;
};

// True when a slot is, or a list holds, something that depends on the input's data.
bool IsSymbolic(const Slot& slot);

// The first line of LibTorch's message: without its backtrace and the addresses in it.
std::string FirstLine(const std::exception& error);

// The handler of an operator, or nullptr. Each list is one function in its own file.
Evaluator::Handler FindFloatOperator(std::string_view name);
Evaluator::Handler FindFakeQuantOperator(std::string_view name);
Evaluator::Handler FindQuantizedOperator(std::string_view name);

}  // namespace qatgap::frontends::torchscript
