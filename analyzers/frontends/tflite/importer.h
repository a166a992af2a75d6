// The graph of one file while it is made: values of the file's tensors, and what every operator needs to add nodes.
// Internal to the frontend.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "analyzers/frontends/tflite/axis_order.h"
#include "analyzers/frontends/tflite/model_file.h"
#include "analyzers/graph/graph.h"

namespace qatgap::frontends::tflite {

// Zeros in front of and behind one axis.
struct Padding {
  std::int64_t before = 0, after = 0;
  friend bool operator==(const Padding&, const Padding&) = default;
};

// What stands for a tensor of the file.
struct Entry {
  graph::ValueId real = -1;
  AxisOrder order;
  std::vector<Padding> padding;                 // by axis of the tensor; of zeros not inserted yet. Empty: none
  const numerics::QuantParams* grid = nullptr;  // the tensor's, when it is quantized
  bool batched = false;                         // axis 0 grows with the batch
};

class Importer {
 public:
  // `paths`: by operator. `any_batch`: axis 0 of the inputs is taken to be a batch of any size.
  Importer(const ModelFile& file, std::vector<std::string> paths, bool any_batch)
      : file_(file), paths_(std::move(paths)), any_batch_(any_batch) {}

  // Fills the graph; the message names operator and layer.
  absl::Status Run();
  // Some operator mixes samples of a batch, so that the graph is right for the file's own batch alone.
  bool mixes_batch() const { return mixes_batch_; }
  bool has_codes() const { return has_codes_; }
  graph::Graph TakeGraph() { return std::move(graph_); }

  // --- for the operators ---

  const TensorRecord& tensor(int index) const { return file_.tensor(index); }
  graph::ValueId Emit(graph::OpKind kind, std::vector<graph::ValueId> inputs, graph::Attributes attributes = {});
  // A kOperator node of LibTorch's registry.
  std::vector<graph::ValueId> Call(std::string name, std::string overload, std::vector<graph::ValueId> inputs,
                                   std::vector<graph::Argument> arguments, int outputs = 1);

  // The value of a tensor, in whatever order it is held; constants in the file's order.
  absl::StatusOr<Entry> Read(int tensor);
  // The same, in `order`; a constant of fewer axes is broadcast to as many.
  absl::StatusOr<graph::ValueId> ReadIn(int tensor, const AxisOrder& order);
  // As Read, but zeros that a PAD put around it may be left to the reader (Entry::padding).
  absl::StatusOr<Entry> ReadUnpadded(int tensor);
  graph::ValueId InOrder(const Entry& entry, const AxisOrder& order);
  // Codes of a constant, dequantized; `front`: zero codes in front of each axis of the result.
  absl::StatusOr<graph::ValueId> CodeConstant(int tensor, const AxisOrder& order, const numerics::QuantParams& params,
                                              const graph::Shape& front = {});

  // Makes `real` the value of a tensor: quantized, if the tensor is. With `moved_from`, elements were only moved: where
  // the grid is the same, they are on it already.
  absl::Status Write(int tensor, graph::ValueId real, AxisOrder order, const Entry* moved_from = nullptr);
  absl::Status WriteActivated(int tensor, graph::ValueId real, AxisOrder order,
                              schema::ActivationFunctionType activation);
  // A PAD whose zeros are not inserted yet.
  absl::Status WritePadded(int tensor, Entry entry, std::vector<Padding> padding);
  // A DEQUANTIZE of a constant: `index` is read as the constant itself.
  absl::Status Alias(int index, int constant);
  int Resolve(int index) const;
  // An operator of shapes, whose integers are not imported.
  void Skip(const OperatorRecord& op);

  // `axis` of the tensor is reduced, cut, joined or moved: with axis 0 that mixes samples.
  void TouchesAxis(const Entry& entry, std::int64_t axis) {
    if (entry.batched && axis == 0) mixes_batch_ = true;
  }
  void MixesBatch() { mixes_batch_ = true; }
  // The sizes of a kReshape to a tensor's shape, whatever the batch.
  std::vector<std::int64_t> SizesOf(const Entry& from, int from_tensor, int to_tensor);

 private:
  const std::vector<graph::ValueId>& Add(graph::Node node, int outputs);
  absl::Status AddInputs();
  absl::Status AddOutputs();
  absl::Status Bind(int tensor, Entry entry);
  graph::ValueId Quantized(graph::ValueId real, const numerics::QuantParams& params);

  const ModelFile& file_;
  const std::vector<std::string> paths_;
  const bool any_batch_;
  bool mixes_batch_ = false;
  bool has_codes_ = false;
  bool reads_batched_ = false;  // the operator at hand has read a tensor that grows with the batch
  const OperatorRecord* current_ = nullptr;
  graph::Graph graph_;
  std::map<int, Entry> entries_;        // by tensor
  std::map<int, std::string> skipped_;  // by tensor: the operator that was not imported
  std::map<int, int> aliases_;          // by tensor: the constant it is
  std::map<std::pair<graph::ValueId, std::vector<std::int64_t>>, graph::ValueId> permuted_;
  std::map<std::tuple<int, AxisOrder, graph::Shape>, graph::ValueId> constants_;
};

// The options of an operator; INVALID_ARGUMENT when the file has none or others.
template <typename Options>
absl::StatusOr<const Options*> OptionsOf(const OperatorRecord& op) {
  const Options* options = op.record->builtin_options_as<Options>();
  if (options == nullptr) return absl::InvalidArgumentError("its options are missing");
  return options;
}

// Axis `axis` of a tensor of `rank` axes, counted from the end when negative.
absl::StatusOr<int> NormalAxis(std::int64_t axis, std::size_t rank);

}  // namespace qatgap::frontends::tflite
