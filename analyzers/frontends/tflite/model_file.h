// A TensorFlow Lite file with every offset, index, size and quantization vector checked once. Internal to the frontend.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "analyzers/frontends/tflite/schema_generated.h"
#include "analyzers/graph/tensor.h"
#include "analyzers/numerics/quant_params.h"

namespace qatgap::frontends::tflite {

struct TensorRecord {
  std::string name;
  schema::TensorType type = schema::TensorType::FLOAT32;
  graph::Shape shape;                  // a dynamic extent is 1
  std::vector<bool> dynamic;           // by axis
  std::span<const std::uint8_t> data;  // of a constant, as many bytes as type and shape need; else empty
  std::optional<numerics::QuantParams> qparams;

  bool constant() const { return !data.empty(); }
  bool integer_type() const;  // int8, uint8, int16, int4: what codes of activations and weights are
  bool quantized() const { return qparams.has_value() && integer_type(); }
};

struct OperatorRecord {
  int index = 0;
  schema::BuiltinOperator code = schema::BuiltinOperator::ADD;
  std::string name;                  // "CONV_2D"; of a custom operator the name it was given
  std::vector<int> inputs, outputs;  // tensors; -1 among the inputs: left out
  const schema::Operator* record = nullptr;

  int input(std::size_t i) const { return i < inputs.size() ? inputs[i] : -1; }
  // INVALID_ARGUMENT unless there are at least so many of each and the first `inputs_wanted` inputs are given.
  absl::Status Require(std::size_t inputs_wanted, std::size_t outputs_wanted) const;
};

class ModelFile {
 public:
  // Reads the first subgraph; control flow, which needs the others, is refused by its operators.
  static absl::StatusOr<ModelFile> Open(std::string_view bytes, std::string_view name);

  const std::vector<TensorRecord>& tensors() const { return tensors_; }
  const TensorRecord& tensor(int index) const { return tensors_[static_cast<std::size_t>(index)]; }
  const std::vector<OperatorRecord>& operators() const { return operators_; }
  const std::vector<int>& inputs() const { return inputs_; }
  const std::vector<int>& outputs() const { return outputs_; }
  // What the file's signature calls an input or output; else the tensor's own name without TensorFlow's decoration.
  std::string InputName(std::size_t i) const { return input_names_[i]; }
  std::string OutputName(std::size_t i) const { return output_names_[i]; }

 private:
  ModelFile() = default;
  absl::Status ReadTensors(const schema::Model& model, const schema::SubGraph& subgraph, std::span<const std::uint8_t> file);
  absl::Status ReadOperators(const schema::Model& model, const schema::SubGraph& subgraph);
  void ReadNames(const schema::Model& model);

  // Flatbuffers are read in place, which wants them aligned; views of it stay valid when the file is moved.
  std::vector<std::uint64_t> storage_;
  std::vector<TensorRecord> tensors_;
  std::vector<OperatorRecord> operators_;
  std::vector<int> inputs_, outputs_;
  std::vector<std::string> input_names_, output_names_;
};

std::string_view ToString(schema::TensorType type);

}  // namespace qatgap::frontends::tflite
