// An exported program as its JSON has it, checked for form but not for meaning.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"

namespace qatgap::frontends::pt2 {

// Numbers of the archive's own enumeration, not of c10::ScalarType.
enum class ScalarType {
  kUint8 = 1,
  kInt8 = 2,
  kInt16 = 3,
  kInt32 = 4,
  kInt64 = 5,
  kFloat16 = 6,
  kFloat32 = 7,
  kFloat64 = 8,
  kBool = 12,
  kBfloat16 = 13,
};
// "float32"; "type 17" where it is not known.
std::string ToString(ScalarType type);
// c10::ScalarType's number, as an operator's dtype argument has it; nullopt: not one of the above.
std::optional<std::int64_t> DispatcherNumber(ScalarType type);

// An extent: a number, or the text of an expression in symbols ("Symbol('s77', ...)").
struct Extent {
  std::int64_t number = 0;
  std::string expression;  // not empty: symbolic
  bool symbolic() const { return !expression.empty(); }
  friend bool operator==(const Extent&, const Extent&) = default;
};
struct TensorMeta {
  ScalarType dtype = ScalarType::kFloat32;
  std::vector<Extent> sizes;
  std::vector<std::int64_t> strides;  // only where all are numbers, as all stored tensors' are
  std::int64_t storage_offset = 0;
};

struct ProgramGraph;

struct TensorName {
  std::string name;
};
struct TensorNames {
  std::vector<std::optional<std::string>> names;
};
struct SymbolicName {  // as_sym_int, as_sym_bool, as_sym_float with a name
  std::string name;
};
struct SymbolicInts {
  std::vector<std::variant<std::int64_t, std::string>> items;
};
struct Subgraph {
  std::shared_ptr<const ProgramGraph> graph;
};
struct Ignored {  // device, layout, memory format: without effect on the values
  std::string kind;
};
struct Unread {  // a kind of argument that only an operator which is refused takes
  std::string kind;
};
using ProgramValue = std::variant<std::monostate /* None */, TensorName, TensorNames, bool, std::int64_t, double,
                                  std::string, std::vector<std::int64_t>, std::vector<double>, std::vector<bool>,
                                  ScalarType, SymbolicName, SymbolicInts, Subgraph, Ignored, Unread>;

struct ProgramArgument {
  std::string name;  // as the operator's schema has it; empty for higher-order operators
  bool keyword = false;
  ProgramValue value;
};
struct ProgramNode {
  std::string target;  // "torch.ops.aten.conv2d.default"
  std::vector<ProgramArgument> inputs;
  std::vector<ProgramValue> outputs;
  std::string module_stack;  // "key,fqn,class;key,fqn,class": outermost first
  std::string stack_trace;   // Python's, outermost first
};
struct ProgramGraph {
  std::vector<ProgramValue> inputs, outputs;
  std::vector<ProgramNode> nodes;
  std::map<std::string, TensorMeta> tensors;
  std::map<std::string, Extent> symbolic_ints;
};

struct InputSpec {
  enum class Kind { kParameter, kBuffer, kConstant, kUserInput, kOther } kind = Kind::kOther;
  ProgramValue value;
  std::string fqn;    // of a parameter, buffer or constant
  std::string other;  // of kOther: what the file calls it
};
struct OutputSpec {
  bool user_output = false;  // else a mutation of a buffer, which qatgap leaves alone
  ProgramValue value;
};
struct Program {
  ProgramGraph graph;
  std::vector<InputSpec> inputs;
  std::vector<OutputSpec> outputs;
  std::string output_spec;  // the pytree of the outputs, as JSON text; empty: unknown
};

// INVALID_ARGUMENT: no JSON, a field that is missing or of another type (named). RESOURCE_EXHAUSTED: nested deeper than
// the JSON of 50 branches, or more than 200000 nodes.
absl::StatusOr<Program> ParseProgram(const std::string& text);

// Of data/weights/model_weights_config.json and data/constants/...: one entry a tensor, by its dotted name.
struct StoredTensor {
  std::string payload;  // entry below the folder: "weight_0"
  bool pickled = false;
  TensorMeta meta;
};
absl::StatusOr<std::map<std::string, StoredTensor>> ParseTensorIndex(const std::string& text);

// Names of the leaves of a pytree, in order: "best", "up.0"; "output" for one bare tensor, "output.1" in a tuple.
// Empty where the text is no pytree that is known.
std::vector<std::string> OutputNames(const std::string& spec);

}  // namespace qatgap::frontends::pt2
