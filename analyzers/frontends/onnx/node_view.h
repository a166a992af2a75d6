// One node of an ONNX graph with its inputs looked up. Internal to frontends/onnx.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "analyzers/frontends/onnx/tensor_proto.h"
#include "analyzers/graph/graph.h"

namespace onnx {
class AttributeProto;
class GraphProto;
class NodeProto;
}

namespace qatgap::frontends::onnx {

// Extents in a shape that is known in part: 0 and up is known, kUnknown is not, and BatchTimes(k) is k times the number
// of samples, the extent of axis 0 of the model's inputs.
inline constexpr std::int64_t kUnknown = -1;
constexpr std::int64_t BatchTimes(std::int64_t factor) { return -1 - factor; }
constexpr std::int64_t BatchFactor(std::int64_t extent) { return extent < kUnknown ? -1 - extent : 0; }

// A value that depends on the model's inputs, or that the graph computes from constants.
struct Symbol {
  graph::ValueId value = -1;
  int type = element::kFloat;  // of the ONNX tensor
  std::shared_ptr<const numerics::QuantParams> codes{};  // set: the value holds codes on this grid
  std::optional<graph::Shape> shape{};  // nullopt: rank not known
};

// Integers computed from shapes: each known, or from the extent of an axis of a value when the model runs.
struct Extent {
  graph::ValueId value = -1;
  int axis = 0;
  int rank = 0;             // of the value; 0 where it is codes
  std::int64_t factor = 0;  // of the batch, where it is a multiple; else 0, and it is the extent itself
};
struct Extents {
  std::vector<std::variant<std::int64_t, Extent>> items;
  bool scalar = false;
};

using Slot = std::variant<std::monostate, Literal, Symbol, Extents>;  // monostate: an optional input that is not given
using Results = absl::StatusOr<std::vector<Slot>>;

class NodeView {
 public:
  NodeView(const ::onnx::NodeProto& proto, int opset, std::vector<Slot> inputs)
      : proto_(proto), opset_(opset), inputs_(std::move(inputs)) {}

  const ::onnx::NodeProto& proto() const { return proto_; }
  int opset() const { return opset_; }  // of the standard operators
  std::size_t size() const { return inputs_.size(); }
  const Slot& in(std::size_t i) const;
  bool has(std::size_t i) const { return !std::holds_alternative<std::monostate>(in(i)); }

  // Attributes; the fallback where the node has none of that name.
  std::int64_t Int(std::string_view name, std::int64_t fallback) const;
  float Float(std::string_view name, float fallback) const;
  // The double that a binary32 attribute was written from: 1e-5, not 9.999999747378752e-06. Both are one binary32
  // number.
  double Decimal(std::string_view name, float fallback) const;
  std::string String(std::string_view name, std::string_view fallback) const;
  std::vector<std::int64_t> Ints(std::string_view name) const;  // empty where there is none
  bool HasAttribute(std::string_view name) const { return Find(name) != nullptr; }
  const ::onnx::GraphProto* Graph(std::string_view name) const;
  const ::onnx::AttributeProto* Find(std::string_view name) const;

  // "operator Conv 'conv1'": for messages.
  std::string Label() const;
  // FAILED_PRECONDITION: "operator Conv 'conv1' in module 'layer1': <what>; <remedy>". The module is added by the
  // importer.
  absl::Status Refuse(std::string_view what, std::string_view remedy) const;
  // INVALID_ARGUMENT: the file contradicts itself.
  absl::Status Broken(std::string_view what) const;

 private:
  const ::onnx::NodeProto& proto_;
  int opset_;
  std::vector<Slot> inputs_;
};

}  // namespace qatgap::frontends::onnx
