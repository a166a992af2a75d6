#include "analyzers/frontends/tflite/model_file.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::tflite {
namespace {

using schema::TensorType;

// Far more elements than a model has, few enough that a byte count does not overflow.
constexpr std::int64_t kMaxElements = std::int64_t{1} << 40;

std::string Name(const flatbuffers::String* text) { return text == nullptr ? "" : text->str(); }

// Bits of an element; 0 for types that are not read.
std::int64_t BitsOf(TensorType type) {
  switch (type) {
    case TensorType::INT4:
      return 4;
    case TensorType::INT8:
    case TensorType::UINT8:
    case TensorType::BOOL:
      return 8;
    case TensorType::INT16:
    case TensorType::FLOAT16:
    case TensorType::BFLOAT16:
      return 16;
    case TensorType::INT32:
    case TensorType::FLOAT32:
      return 32;
    case TensorType::INT64:
    case TensorType::FLOAT64:
      return 64;
    default:
      return 0;
  }
}

struct CodeRange {
  std::int64_t min, max;
};
CodeRange RangeOf(TensorType type) {
  switch (type) {
    case TensorType::INT4:
      return {-8, 7};
    case TensorType::INT8:
      return {-128, 127};
    case TensorType::UINT8:
      return {0, 255};
    case TensorType::INT16:
      return {-32768, 32767};
    default:  // biases
      return {std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()};
  }
}

absl::Status ReadShape(const schema::Tensor& tensor, TensorRecord& record) {
  std::int64_t elements = 1;
  const auto* shape = tensor.shape();
  for (std::size_t i = 0; shape != nullptr && i < shape->size(); ++i) {
    const std::int64_t extent = shape->Get(static_cast<flatbuffers::uoffset_t>(i));
    if (extent < 0 || extent > kMaxElements / std::max<std::int64_t>(elements, 1)) {
      return absl::InvalidArgumentError(absl::StrCat("its shape has the extent ", extent, " in axis ", i));
    }
    elements *= extent;
    record.shape.push_back(extent);
  }
  record.dynamic.assign(record.shape.size(), false);
  const auto* signature = tensor.shape_signature();
  if (signature == nullptr || signature->size() != record.shape.size()) return absl::OkStatus();
  for (std::size_t i = 0; i < record.shape.size(); ++i) {
    record.dynamic[i] = signature->Get(static_cast<flatbuffers::uoffset_t>(i)) < 0;
  }
  return absl::OkStatus();
}

// The bytes of a buffer: inside the flatbuffer, or behind it, where converters put large ones.
absl::StatusOr<std::span<const std::uint8_t>> BytesOf(const schema::Buffer& buffer, std::span<const std::uint8_t> file) {
  // 0 and 1 stand for "in the flatbuffer".
  if (buffer.offset() <= 1 && buffer.size() <= 1) {
    if (buffer.data() == nullptr) return std::span<const std::uint8_t>();
    return std::span<const std::uint8_t>(buffer.data()->data(), buffer.data()->size());
  }
  if (buffer.offset() > file.size() || buffer.size() > file.size() - buffer.offset()) {
    return absl::InvalidArgumentError(absl::StrCat("its data lie outside of the file (offset ", buffer.offset(), ", size ",
                                                   buffer.size(), ", the file has ", file.size(), " bytes)"));
  }
  return file.subspan(buffer.offset(), buffer.size());
}

absl::Status ReadData(const schema::Tensor& tensor, const schema::Model& model, std::span<const std::uint8_t> file,
                      TensorRecord& record) {
  if (tensor.external_buffer() != 0) {
    return absl::FailedPreconditionError("its data are in another file; convert the model without external buffers");
  }
  const auto* buffers = model.buffers();
  if (buffers == nullptr || tensor.buffer() >= buffers->size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("it names buffer ", tensor.buffer(), " of ", buffers == nullptr ? 0 : buffers->size()));
  }
  QATGAP_ASSIGN_OR_RETURN(const std::span<const std::uint8_t> data, BytesOf(*buffers->Get(tensor.buffer()), file));
  if (data.empty()) return absl::OkStatus();
  const std::int64_t bits = BitsOf(record.type);
  if (bits == 0) return absl::OkStatus();  // strings and the like: not constants that an operator reads
  const std::int64_t wanted = (graph::ElementCount(record.shape) * bits + 7) / 8;
  if (static_cast<std::int64_t>(data.size()) != wanted) {
    return absl::InvalidArgumentError(absl::StrCat("its buffer has ", data.size(), " bytes, ", Text(ToString(record.type)),
                                                   " ", graph::ToString(record.shape), " needs ", wanted));
  }
  record.data = data;
  return absl::OkStatus();
}

absl::Status ReadQuantization(const schema::Tensor& tensor, TensorRecord& record) {
  const schema::QuantizationParameters* stored = tensor.quantization();
  if (stored == nullptr) return absl::OkStatus();
  if (stored->details_type() != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("its quantization is not affine (details of type ", stored->details_type(),
                     "); only a scale and a zero point per tensor or per channel are read"));
  }
  const auto* scales = stored->scale();
  if (scales == nullptr || scales->size() == 0) return absl::OkStatus();
  if (!record.integer_type() && record.type != TensorType::INT32 && record.type != TensorType::INT64) {
    return absl::OkStatus();  // a float tensor that still knows the range it had
  }
  const CodeRange range = RangeOf(record.type);
  numerics::QuantParams params{.scales = {}, .zero_points = {}, .quant_min = range.min, .quant_max = range.max};
  for (const float scale : *scales) params.scales.push_back(static_cast<double>(scale));
  const auto* zero_points = stored->zero_point();
  if (zero_points == nullptr || zero_points->size() == 0) {
    params.zero_points.assign(params.scales.size(), 0);
  } else {
    // The verifier aligns a vector's length, so its 64-bit elements need not be aligned in a damaged file.
    params.zero_points.resize(zero_points->size());
    std::memcpy(params.zero_points.data(), zero_points->Data(), zero_points->size() * sizeof(std::int64_t));
    // One zero point may stand for all channels.
    if (params.zero_points.size() == 1) params.zero_points.resize(params.scales.size(), params.zero_points[0]);
  }
  if (params.scales.size() > 1) {
    const int axis = stored->quantized_dimension();
    if (axis < 0 || static_cast<std::size_t>(axis) >= record.shape.size() ||
        record.shape[static_cast<std::size_t>(axis)] != static_cast<std::int64_t>(params.scales.size())) {
      return absl::InvalidArgumentError(absl::StrCat("it has ", params.scales.size(), " scales along axis ", axis,
                                                     " of ", graph::ToString(record.shape)));
    }
    params.axis = axis;
  }
  QATGAP_RETURN_IF_ERROR(numerics::Validate(params, "its quantization"));
  record.qparams = std::move(params);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<int>> ReadIndices(const flatbuffers::Vector<std::int32_t>* indices, std::size_t tensors,
                                             int lowest, std::string_view what) {
  std::vector<int> result;
  for (std::size_t i = 0; indices != nullptr && i < indices->size(); ++i) {
    const int index = indices->Get(static_cast<flatbuffers::uoffset_t>(i));
    if (index < lowest || (index >= 0 && static_cast<std::size_t>(index) >= tensors)) {
      return absl::InvalidArgumentError(absl::StrCat(Text(what), " names tensor ", index, " of ", tensors));
    }
    result.push_back(index);
  }
  return result;
}

// "serving_default_input_1:0" -> "input_1".
std::string WithoutDecoration(std::string_view name) {
  absl::string_view text = absl::StripPrefix(Text(name), "serving_default_");
  text = absl::StripSuffix(text, ":0");
  return std::string(text);
}

}  // namespace

std::string_view ToString(TensorType type) {
  const char* name = schema::EnumNameTensorType(type);
  return *name == '\0' ? "a type that is not known" : name;
}

bool TensorRecord::integer_type() const {
  return type == TensorType::INT8 || type == TensorType::UINT8 || type == TensorType::INT16 || type == TensorType::INT4;
}

absl::Status OperatorRecord::Require(std::size_t inputs_wanted, std::size_t outputs_wanted) const {
  const bool given = inputs.size() >= inputs_wanted &&
                     std::all_of(inputs.begin(), inputs.begin() + static_cast<std::ptrdiff_t>(inputs_wanted),
                                 [](int input) { return input >= 0; });
  if (given && outputs.size() >= outputs_wanted) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("it has ", inputs.size(), " inputs and ", outputs.size(),
                                                 " outputs, needs ", inputs_wanted, " and ", outputs_wanted));
}

absl::StatusOr<ModelFile> ModelFile::Open(std::string_view bytes, std::string_view name) {
  const std::string where = absl::StrCat("'", Text(name), "'");
  // 8: root offset and identifier; 2^31: what a flatbuffer can be.
  if (bytes.size() < 8 || bytes.substr(4, 4) != "TFL3") {
    return absl::InvalidArgumentError(
        absl::StrCat(where, " is not a TensorFlow Lite model: the file identifier TFL3 is missing"));
  }
  if (bytes.size() >= (std::uint64_t{1} << 31)) {
    return absl::FailedPreconditionError(
        absl::StrCat(where, " has ", bytes.size(), " bytes; 2 GB and more are not read"));
  }
  ModelFile file;
  file.storage_.resize((bytes.size() + 7) / 8);
  std::memcpy(file.storage_.data(), bytes.data(), bytes.size());
  const auto* data = reinterpret_cast<const std::uint8_t*>(file.storage_.data());
  flatbuffers::Verifier verifier(data, bytes.size());
  if (!schema::VerifyModelBuffer(verifier)) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, " is damaged: an offset or a size in it leads outside of its ", bytes.size(), " bytes"));
  }
  const schema::Model& model = *schema::GetModel(data);
  if (model.version() != 3) {
    return absl::FailedPreconditionError(
        absl::StrCat(where, " has the schema version ", model.version(), "; version 3 is read"));
  }
  if (model.subgraphs() == nullptr || model.subgraphs()->size() == 0) {
    return absl::InvalidArgumentError(absl::StrCat(where, " has no subgraph"));
  }
  const schema::SubGraph& subgraph = *model.subgraphs()->Get(0);
  const auto in_file = [&](const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat(where, ": ", status.message()));
  };
  if (absl::Status status = file.ReadTensors(model, subgraph, {data, bytes.size()}); !status.ok()) return in_file(status);
  if (absl::Status status = file.ReadOperators(model, subgraph); !status.ok()) return in_file(status);
  file.ReadNames(model);
  return file;
}

absl::Status ModelFile::ReadTensors(const schema::Model& model, const schema::SubGraph& subgraph,
                                    std::span<const std::uint8_t> file) {
  const auto* tensors = subgraph.tensors();
  for (std::size_t i = 0; tensors != nullptr && i < tensors->size(); ++i) {
    const schema::Tensor& tensor = *tensors->Get(static_cast<flatbuffers::uoffset_t>(i));
    TensorRecord record;
    record.name = Name(tensor.name());
    record.type = tensor.type();
    absl::Status status =
        tensor.sparsity() == nullptr
            ? ReadShape(tensor, record)
            : absl::FailedPreconditionError("it is stored sparse; convert the model without sparsity");
    if (status.ok()) status = ReadData(tensor, model, file, record);
    if (status.ok()) status = ReadQuantization(tensor, record);
    if (!status.ok()) {
      return absl::Status(status.code(), absl::StrCat("tensor ", i, " '", record.name, "': ", status.message()));
    }
    tensors_.push_back(std::move(record));
  }
  QATGAP_ASSIGN_OR_RETURN(inputs_, ReadIndices(subgraph.inputs(), tensors_.size(), 0, "an input of the model"));
  QATGAP_ASSIGN_OR_RETURN(outputs_, ReadIndices(subgraph.outputs(), tensors_.size(), 0, "an output of the model"));
  if (inputs_.empty() || outputs_.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the model has ", inputs_.size(), " inputs and ", outputs_.size(), " outputs"));
  }
  return absl::OkStatus();
}

absl::Status ModelFile::ReadOperators(const schema::Model& model, const schema::SubGraph& subgraph) {
  const auto* codes = model.operator_codes();
  const auto* records = subgraph.operators();
  for (std::size_t i = 0; records != nullptr && i < records->size(); ++i) {
    const schema::Operator* record = records->Get(static_cast<flatbuffers::uoffset_t>(i));
    if (codes == nullptr || record->opcode_index() >= codes->size()) {
      return absl::InvalidArgumentError(absl::StrCat("operator ", i, " names the operator code ",
                                                     record->opcode_index(), " of ",
                                                     codes == nullptr ? 0 : codes->size()));
    }
    const schema::OperatorCode& code = *codes->Get(record->opcode_index());
    OperatorRecord result;
    result.index = static_cast<int>(i);
    result.record = record;
    // Files of before 2020 know the byte alone, where 127 stands for a number that does not fit it.
    const int number =
        std::max(static_cast<int>(code.builtin_code()), static_cast<int>(code.deprecated_builtin_code()));
    result.code = static_cast<schema::BuiltinOperator>(number);
    const char* name = schema::EnumNameBuiltinOperator(result.code);
    result.name = *name == '\0' ? absl::StrCat("BuiltinOperator ", number) : name;
    if (result.code == schema::BuiltinOperator::CUSTOM)
      result.name = absl::StrCat("CUSTOM '", Name(code.custom_code()), "'");
    const std::string who = absl::StrCat("operator ", i, " (", result.name, ")");
    QATGAP_ASSIGN_OR_RETURN(result.inputs, ReadIndices(record->inputs(), tensors_.size(), -1, who));
    QATGAP_ASSIGN_OR_RETURN(result.outputs, ReadIndices(record->outputs(), tensors_.size(), 0, who));
    operators_.push_back(std::move(result));
  }
  return absl::OkStatus();
}

void ModelFile::ReadNames(const schema::Model& model) {
  for (const int input : inputs_) input_names_.push_back(WithoutDecoration(tensor(input).name));
  for (const int output : outputs_) output_names_.push_back(WithoutDecoration(tensor(output).name));
  const auto* signatures = model.signature_defs();
  if (signatures == nullptr) return;
  const auto rename = [](const auto* maps, const std::vector<int>& tensors, std::vector<std::string>& names) {
    for (std::size_t m = 0; maps != nullptr && m < maps->size(); ++m) {
      const schema::TensorMap& map = *maps->Get(static_cast<flatbuffers::uoffset_t>(m));
      for (std::size_t i = 0; i < tensors.size(); ++i) {
        const std::string name = Name(map.name());
        if (static_cast<std::uint32_t>(tensors[i]) == map.tensor_index() && !name.empty()) names[i] = name;
      }
    }
  };
  for (const schema::SignatureDef* signature : *signatures) {
    if (signature->subgraph_index() != 0) continue;
    rename(signature->inputs(), inputs_, input_names_);
    rename(signature->outputs(), outputs_, output_names_);
    return;
  }
}

}  // namespace qatgap::frontends::tflite
