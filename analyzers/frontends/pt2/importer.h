// Builds a graph from an exported program. Internal to this folder.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "analyzers/frontends/model.h"
#include "analyzers/frontends/pt2/program.h"
#include "analyzers/frontends/pt2/weights.h"
#include "analyzers/graph/graph.h"

namespace qatgap::frontends::pt2 {

inline constexpr int kMaxBranchDepth = 50;

// What a name of the program stands for.
struct Slot {
  graph::ValueId value = -1;  // -1: a tensor of the file that no node has read yet
  std::string fqn{};          // of a tensor of the file
  std::string origin{};       // fqn of the parameter that it was made of, for naming fused layers; may be empty
  ScalarType dtype = ScalarType::kFloat32;
  std::shared_ptr<const numerics::QuantParams> codes{};  // set: integer codes
  bool owned = false;  // a parameter, buffer or constant itself, which nothing may write to
  bool stale = false;  // memory that an operator in place has changed through another name
  int memory = 0;      // tensors of one number may share memory
  int identity = 0;    // tensors of one number are surely one
};

// One node while it is imported.
struct Call {
  const ProgramNode& node;
  std::string name;       // "aten::relu", without the underscore of operators in place
  std::string overload;   // "default" is left out
  std::string file_name;  // "aten.relu_.default", for messages
  bool in_place = false;

  const ProgramValue* Find(std::string_view argument) const;  // nullptr: left out
  bool Lacks(std::string_view argument) const;                // left out, or None
};

class Importer {
 public:
  Importer(const Program& program, Weights& weights) : program_(program), weights_(weights) {}

  // Not folded, not verified.
  absl::StatusOr<Model> Run();

  // --- for the handlers of operators ---
  using Handler = absl::Status (*)(Importer&, const Call&);

  absl::Status Refuse(std::string_view what, std::string_view remedy) const;
  absl::Status Unknown(const Call& call) const;

  absl::StatusOr<Slot*> Tensor(const Call& call, std::string_view argument);
  absl::StatusOr<Slot*> Named(const std::string& name) { return Find(name); }
  // The value of a tensor that is no code, or of a number, which becomes a constant of the type of `like`.
  absl::StatusOr<graph::ValueId> Real(const Call& call, std::string_view argument);
  absl::StatusOr<graph::ValueId> RealOf(const Slot& slot, std::string_view argument);
  absl::StatusOr<graph::ValueId> RealOrNumber(const Call& call, std::string_view argument, ScalarType like);
  // A tensor of the file, or a constant node; FAILED_PRECONDITION for what depends on the input.
  absl::StatusOr<graph::Tensor> ConstantTensor(const Call& call, std::string_view argument);
  absl::StatusOr<std::int64_t> Int(const Call& call, std::string_view argument,
                                   std::optional<std::int64_t> otherwise = {});
  absl::StatusOr<double> Double(const Call& call, std::string_view argument, std::optional<double> otherwise = {});
  absl::StatusOr<bool> Bool(const Call& call, std::string_view argument, bool otherwise);
  // A number stands for a list of one.
  absl::StatusOr<std::vector<std::int64_t>> Ints(const Call& call, std::string_view argument,
                                                 std::optional<std::vector<std::int64_t>> otherwise = {});
  absl::StatusOr<std::vector<std::int64_t>> ReshapeSizes(const Call& call, std::string_view x, std::string_view sizes);
  const TensorMeta* Meta(const std::string& name) const;  // nullptr: the file does not tell
  const TensorMeta* MetaOf(const Call& call, std::string_view argument) const;

  graph::ValueId Emit(const Call& call, graph::OpKind kind, std::vector<graph::ValueId> inputs,
                      graph::Attributes attributes = {});
  std::vector<graph::ValueId> EmitMany(const Call& call, graph::OpKind kind, std::vector<graph::ValueId> inputs,
                                       graph::Attributes attributes, int outputs);
  graph::ValueId EmitConstant(const Call& call, graph::Tensor value, std::optional<numerics::QuantParams> qparams = {});
  graph::ValueId EmitNumber(const Call& call, double number, ScalarType like);
  bool IsConstant(graph::ValueId value) const { return constant_[static_cast<std::size_t>(value)]; }

  static std::vector<std::string> OutputsOf(const Call& call);  // names, lists flattened
  // Names the first output; further ones are refused when they are read.
  absl::Status Bind(const Call& call, graph::ValueId value);
  absl::Status BindAll(const Call& call, const std::vector<graph::ValueId>& values);
  absl::Status BindCodes(const Call& call, graph::ValueId value, numerics::QuantParams qparams);
  // The first output is the argument itself (kSame), or it and what else it made of it may share memory (kMaybeSame).
  enum class Memory { kSame, kMaybeSame, kOther };
  absl::Status BindAlias(const Call& call, std::string_view argument, Memory memory);
  // An operator that keeps its input's qparams when that is codes.
  absl::Status BindLike(const Call& call, graph::OpKind kind, std::string_view x, graph::Attributes attributes = {});

  absl::Status CheckParams(const numerics::QuantParams& qparams, std::string_view what) const;
  void Notice(graph::NoticeKind kind, std::string detail);
  void set_saw_fake_quant(bool observed) {
    saw_fake_quant_ = true;
    saw_observer_ = saw_observer_ || observed;
  }
  void set_saw_converted() { saw_converted_ = true; }
  Weights& weights() { return weights_; }
  const std::string& path() const { return path_; }

  absl::Status ImportCond(const Call& call);
  absl::Status ImportInline(const Call& call, std::size_t graph_argument);

 private:
  using Frame = std::unordered_map<std::string, Slot>;
  struct Layer {
    std::string stack, source_line;
  };

  void ReadLayers(const ProgramGraph& graph, int depth);
  absl::Status BindInputs();
  absl::Status BindOutputs();
  absl::Status ImportGraph(const ProgramGraph& graph);
  absl::Status ImportNode(const ProgramNode& node);
  void NameNode(const Call& call);
  std::string PatternPath(const Call& call);
  absl::StatusOr<std::vector<Slot>> ImportSubgraph(const ProgramGraph& graph, const std::vector<Slot>& operands);
  absl::StatusOr<std::vector<Slot>> Operands(const Call& call, std::size_t first);
  absl::StatusOr<std::vector<graph::ValueId>> BranchOutputs(const Call& call, const std::vector<Slot>& slots,
                                                            const std::vector<bool>& as_codes);
  absl::StatusOr<Slot*> Find(const std::string& name);
  absl::StatusOr<graph::ValueId> Value(const Slot& slot);
  absl::StatusOr<graph::ValueId> FileConstant(const Slot& slot);
  absl::Status BindSlot(const std::string& name, Slot slot);
  void Rebind(const Slot& written, const Slot& result);
  std::string OriginOf(const Call& call);
  int NewMemory() { return ++memories_; }

  const Program& program_;
  Weights& weights_;
  graph::Graph graph_;
  graph::Block constants_;  // put in front of the body: constants are visible in every branch
  graph::Block* block_ = nullptr;
  const ProgramGraph* program_graph_ = nullptr;
  Frame* frame_ = nullptr;
  std::map<int, std::vector<std::string>> names_of_memory_;  // of the current frame
  std::map<std::string, graph::ValueId> constant_of_;        // by fqn
  std::map<std::string, Layer> layers_;                      // by path
  std::vector<bool> constant_;                               // by value: depends on constants alone
  std::string path_, stack_, source_line_;                   // of the node being imported
  int memories_ = 0, first_memory_of_branch_ = 0, depth_ = 0;
  bool saw_fake_quant_ = false, saw_observer_ = false, saw_converted_ = false, saw_eager_module_ = false;
};

// The handler of an operator, or nullptr. Each list is one function in its own file.
Importer::Handler FindFloatOperator(const Call& call);
Importer::Handler FindMovingOperator(const Call& call);
Importer::Handler FindQuantizedOperator(const Call& call);

// Any other operator on the graph's list: a kOperator. Refused by name where it is not on the list.
absl::Status ImportByName(Importer& importer, const Call& call);

}  // namespace qatgap::frontends::pt2
