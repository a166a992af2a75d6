#include "analyzers/frontends/tflite/importer.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/tflite/constants.h"
#include "analyzers/frontends/tflite/operators.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::tflite {

using graph::OpKind;
using graph::ValueId;
using schema::ActivationFunctionType;
using schema::TensorType;

namespace {

bool IsReal(const TensorRecord& record) {
  return record.type == TensorType::FLOAT32 || record.type == TensorType::FLOAT16 ||
         record.type == TensorType::BFLOAT16;
}

// The codes between -1 and 1, as the kernels clamp them (round half away from zero of +-1 / scale, in binary32).
std::optional<numerics::QuantParams> Narrowed(const numerics::QuantParams& params) {
  numerics::QuantParams narrowed = params;
  const double one = std::round(static_cast<double>(1.0F / static_cast<float>(params.scale())));
  const auto zero_point = static_cast<double>(params.zero_point());
  const auto code = [&](double value) {
    return static_cast<std::int64_t>(
        std::clamp(value, static_cast<double>(params.quant_min), static_cast<double>(params.quant_max)));
  };
  narrowed.quant_min = code(zero_point - one);
  narrowed.quant_max = code(zero_point + one);
  if (narrowed.quant_min >= narrowed.quant_max) return std::nullopt;
  return narrowed;
}

// A constant with axes of extent 1 in front, as broadcasting adds them.
TensorRecord WithRank(const TensorRecord& record, std::size_t rank) {
  TensorRecord wider = record;
  wider.shape.insert(wider.shape.begin(), rank - record.shape.size(), 1);
  return wider;
}

}  // namespace

absl::StatusOr<int> NormalAxis(std::int64_t axis, std::size_t rank) {
  const auto count = static_cast<std::int64_t>(rank);
  if (axis < -count || axis >= count) {
    return absl::InvalidArgumentError(absl::StrCat("axis ", axis, " of a tensor of ", rank, " axes"));
  }
  return static_cast<int>(axis < 0 ? axis + count : axis);
}

absl::Status Importer::Run() {
  graph_.convert_style = graph::ConvertStyle::kAsIs;
  QATGAP_RETURN_IF_ERROR(AddInputs());
  for (const OperatorRecord& op : file_.operators()) {
    current_ = &op;
    reads_batched_ = false;
    if (absl::Status status = ImportOperator(*this, op); !status.ok()) {
      const std::string& path = paths_[static_cast<std::size_t>(op.index)];
      return absl::Status(status.code(),
                          absl::StrCat("operator ", op.index, ", ", op.name, " in '", path, "': ", status.message()));
    }
  }
  current_ = nullptr;
  return AddOutputs();
}

absl::Status Importer::AddInputs() {
  for (std::size_t i = 0; i < file_.inputs().size(); ++i) {
    const int index = file_.inputs()[i];
    const TensorRecord& record = tensor(index);
    const ValueId input = graph_.AddValue(file_.InputName(i));
    graph_.inputs.push_back(input);
    graph::Shape shape = record.shape;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      if (axis == 0 ? any_batch_ : bool{record.dynamic[axis]}) shape[axis] = -1;
    }
    if (shape.size() < 2) mixes_batch_ = true;  // a vector or a scalar: no axis for the batch
    graph_.input_shapes.push_back(shape);
    Entry entry{.real = input, .order = FileOrder(shape.size()), .padding = {}, .grid = nullptr, .batched = any_batch_};
    // A batch of another size than the file's own must not pass where samples are mixed.
    if (!any_batch_ && std::count(shape.begin(), shape.end(), -1) == 0) {
      entry.real = Emit(OpKind::kReshape, {entry.real}, graph::SizesAttributes{.sizes = shape});
    }
    if (record.quantized() && !record.qparams->per_channel()) {
      entry.real = Quantized(entry.real, *record.qparams);
      entry.grid = &*record.qparams;
    } else if (!IsReal(record)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the input '", record.name, "' is ", Text(ToString(record.type)),
          record.integer_type() ? " without one scale and zero point" : "", "; inputs are float32 or quantized"));
    }
    QATGAP_RETURN_IF_ERROR(Bind(index, std::move(entry)));
  }
  return absl::OkStatus();
}

absl::Status Importer::AddOutputs() {
  for (std::size_t i = 0; i < file_.outputs().size(); ++i) {
    const int index = file_.outputs()[i];
    absl::StatusOr<ValueId> value = ReadIn(index, FileOrder(tensor(index).shape.size()));
    if (!value.ok()) {
      return absl::Status(value.status().code(), absl::StrCat("output ", i, ": ", value.status().message()));
    }
    graph_.body.outputs.push_back(*value);
    graph_.output_names.push_back(file_.OutputName(i));
  }
  return absl::OkStatus();
}

const std::vector<ValueId>& Importer::Add(graph::Node node, int outputs) {
  if (current_ != nullptr) {
    node.module_path = paths_[static_cast<std::size_t>(current_->index)];
    node.source_op = current_->name;
  }
  const graph::NodeId id = graph_.AddNode(graph_.body, std::move(node), outputs);
  return graph_.nodes[static_cast<std::size_t>(id)].outputs;
}

ValueId Importer::Emit(OpKind kind, std::vector<ValueId> inputs, graph::Attributes attributes) {
  return Add({.kind = kind,
              .inputs = std::move(inputs),
              .outputs = {},
              .attributes = std::move(attributes),
              .module_path = {},
              .source_op = {}},
             1)[0];
}

std::vector<ValueId> Importer::Call(std::string name, std::string overload, std::vector<ValueId> inputs,
                                    std::vector<graph::Argument> arguments, int outputs) {
  return Add({.kind = OpKind::kOperator,
              .inputs = std::move(inputs),
              .outputs = {},
              .attributes =
                  graph::OperatorAttributes{
                      .name = std::move(name), .overload = std::move(overload), .arguments = std::move(arguments)},
              .module_path = {},
              .source_op = {}},
             outputs);
}

absl::StatusOr<Entry> Importer::ReadUnpadded(int index) {
  if (index < 0) return absl::InvalidArgumentError("a tensor that it needs is left out");
  index = Resolve(index);
  const TensorRecord& record = tensor(index);
  if (const auto it = entries_.find(index); it != entries_.end()) {
    reads_batched_ = reads_batched_ || it->second.batched;
    return it->second;
  }
  if (const auto it = skipped_.find(index); it != skipped_.end()) {
    return absl::FailedPreconditionError(absl::StrCat("it reads '", record.name, "', which ", it->second,
                                                      " computes; integers that are computed when the model runs are "
                                                      "not imported"));
  }
  if (!record.constant()) {
    return absl::InvalidArgumentError(absl::StrCat("it reads tensor '", record.name, "' before an operator makes it"));
  }
  const AxisOrder order = FileOrder(record.shape.size());
  QATGAP_ASSIGN_OR_RETURN(const ValueId real, ReadIn(index, order));
  return Entry{.real = real,
               .order = order,
               .padding = {},
               .grid = record.quantized() ? &*record.qparams : nullptr,
               .batched = false};
}

absl::StatusOr<Entry> Importer::Read(int index) {
  QATGAP_ASSIGN_OR_RETURN(Entry entry, ReadUnpadded(index));
  if (entry.padding.empty()) return entry;
  // LibTorch counts from the last axis: before, after, before, after, ...
  std::vector<std::int64_t> pad;
  for (std::size_t i = entry.order.size(); i-- > 0;) {
    const Padding& zeros = entry.padding[static_cast<std::size_t>(entry.order[i])];
    pad.push_back(zeros.before);
    pad.push_back(zeros.after);
  }
  entry.real =
      Call("aten::constant_pad_nd", "", {entry.real}, {graph::TensorArgument{0}, std::move(pad), std::int64_t{0}})[0];
  entry.padding.clear();
  entries_[Resolve(index)] = entry;
  return entry;
}

absl::StatusOr<ValueId> Importer::ReadIn(int index, const AxisOrder& order) {
  if (index < 0) return absl::InvalidArgumentError("a tensor that it needs is left out");
  index = Resolve(index);
  const TensorRecord& record = tensor(index);
  const auto wrong_rank = [&](std::size_t rank) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor '", record.name, "' has ", rank, " axes, the operator takes ", order.size()));
  };
  if (!record.constant() || entries_.contains(index)) {
    QATGAP_ASSIGN_OR_RETURN(const Entry entry, Read(index));
    if (entry.order.size() != order.size()) return wrong_rank(entry.order.size());
    return InOrder(entry, order);
  }
  if (record.shape.size() > order.size()) return wrong_rank(record.shape.size());
  if (record.quantized()) return CodeConstant(index, order, *record.qparams);
  const auto key = std::make_tuple(index, order, graph::Shape{});
  if (const auto it = constants_.find(key); it != constants_.end()) return it->second;
  QATGAP_ASSIGN_OR_RETURN(graph::Tensor reals, Reals(WithRank(record, order.size()), order));
  const ValueId value =
      Emit(OpKind::kConstant, {}, graph::ConstantAttributes{.value = std::move(reals), .qparams = {}});
  constants_[key] = value;
  return value;
}

absl::StatusOr<ValueId> Importer::CodeConstant(int index, const AxisOrder& order, const numerics::QuantParams& params,
                                               const graph::Shape& front) {
  index = Resolve(index);
  const auto key = std::make_tuple(index, order, front);
  if (const auto it = constants_.find(key); it != constants_.end()) return it->second;
  const TensorRecord& record = tensor(index);
  numerics::QuantParams ordered = params;
  if (ordered.per_channel()) {
    const auto axes_in_front = static_cast<int>(order.size() - record.shape.size());
    ordered.axis = AxisOfValue(order, ordered.axis + axes_in_front);
  }
  QATGAP_ASSIGN_OR_RETURN(graph::Tensor codes, Codes(WithRank(record, order.size()), order));
  if (!front.empty()) codes = PaddedInFront(codes, front, ordered);
  has_codes_ = true;
  const ValueId constant =
      Emit(OpKind::kConstant, {}, graph::ConstantAttributes{.value = std::move(codes), .qparams = std::move(ordered)});
  const ValueId value = Emit(OpKind::kDequantize, {constant});
  constants_[key] = value;
  return value;
}

ValueId Importer::InOrder(const Entry& entry, const AxisOrder& order) {
  if (entry.order == order) return entry.real;
  const auto key = std::make_pair(entry.real, PermutationTo(entry.order, order));
  if (const auto it = permuted_.find(key); it != permuted_.end()) return it->second;
  const ValueId value = Emit(OpKind::kPermute, {entry.real}, graph::SizesAttributes{.sizes = key.second});
  permuted_[key] = value;
  return value;
}

ValueId Importer::Quantized(ValueId real, const numerics::QuantParams& params) {
  has_codes_ = true;
  const ValueId codes = Emit(OpKind::kQuantize, {real}, graph::QuantizeAttributes{.qparams = params});
  return Emit(OpKind::kDequantize, {codes});
}

absl::Status Importer::Bind(int index, Entry entry) {
  const TensorRecord& record = tensor(index);
  if (entry.order.size() != record.shape.size()) {
    return absl::InvalidArgumentError(absl::StrCat("its output '", record.name, "' is declared with ",
                                                   record.shape.size(), " axes, it has ", entry.order.size()));
  }
  if (record.constant() || entries_.contains(index) || aliases_.contains(index)) {
    return absl::InvalidArgumentError(absl::StrCat("tensor '", record.name, "' is made a second time"));
  }
  entries_.emplace(index, std::move(entry));
  return absl::OkStatus();
}

absl::Status Importer::Write(int index, ValueId real, AxisOrder order, const Entry* moved_from) {
  const TensorRecord& record = tensor(index);
  Entry entry{.real = real, .order = std::move(order), .padding = {}, .grid = nullptr, .batched = reads_batched_};
  if (record.integer_type()) {
    if (!record.qparams || record.qparams->per_channel()) {
      return absl::InvalidArgumentError(absl::StrCat("its output '", record.name, "' is ", Text(ToString(record.type)),
                                                     " without one scale and zero point"));
    }
    entry.grid = &*record.qparams;
    const bool on_grid = moved_from != nullptr && moved_from->grid != nullptr && *moved_from->grid == *entry.grid;
    if (!on_grid) entry.real = Quantized(real, *record.qparams);
  } else if (!IsReal(record)) {
    return absl::FailedPreconditionError(absl::StrCat("its output '", record.name, "' is ", Text(ToString(record.type)),
                                                      "; float and quantized tensors are imported"));
  }
  return Bind(index, std::move(entry));
}

absl::Status Importer::WriteActivated(int index, ValueId real, AxisOrder order, ActivationFunctionType activation) {
  const TensorRecord& record = tensor(index);
  switch (activation) {
    case ActivationFunctionType::NONE:
      break;
    case ActivationFunctionType::RELU:
      real = Emit(OpKind::kRelu, {real});
      break;
    case ActivationFunctionType::RELU6:
      real = Emit(OpKind::kClamp, {real}, graph::ClampAttributes{.min = 0, .max = 6});
      break;
    case ActivationFunctionType::RELU_N1_TO_1: {
      // No activation of a MAC layer: the kernels clamp codes, which a narrower range of codes says as well.
      const auto narrowed =
          record.quantized() && !record.qparams->per_channel() ? Narrowed(*record.qparams) : std::nullopt;
      if (narrowed) {
        return Bind(index, {.real = Quantized(real, *narrowed),
                            .order = std::move(order),
                            .padding = {},
                            .grid = &*record.qparams,
                            .batched = reads_batched_});
      }
      real = Emit(OpKind::kClamp, {real}, graph::ClampAttributes{.min = -1, .max = 1});
      break;
    }
    default:
      return absl::FailedPreconditionError(
          absl::StrCat("its fused activation ", schema::EnumNameActivationFunctionType(activation), " is not known"));
  }
  return Write(index, real, std::move(order));
}

absl::Status Importer::WritePadded(int index, Entry entry, std::vector<Padding> padding) {
  if (!entry.padding.empty()) {
    for (std::size_t i = 0; i < padding.size(); ++i) {
      padding[i].before += entry.padding[i].before;
      padding[i].after += entry.padding[i].after;
    }
  }
  entry.padding = std::move(padding);
  return Bind(index, std::move(entry));
}

absl::Status Importer::Alias(int index, int constant) {
  if (tensor(index).constant() || entries_.contains(index) || !aliases_.emplace(index, Resolve(constant)).second) {
    return absl::InvalidArgumentError(absl::StrCat("tensor '", tensor(index).name, "' is made a second time"));
  }
  return absl::OkStatus();
}

int Importer::Resolve(int index) const {
  const auto it = aliases_.find(index);
  return it == aliases_.end() ? index : it->second;
}

void Importer::Skip(const OperatorRecord& op) {
  for (const int output : op.outputs) skipped_[output] = op.name;
}

std::vector<std::int64_t> Importer::SizesOf(const Entry& from, int from_tensor, int to_tensor) {
  std::vector<std::int64_t> sizes = tensor(to_tensor).shape;
  if (!from.batched) return sizes;
  if (sizes.empty()) {
    mixes_batch_ = true;
    return sizes;
  }
  // The batch is the outermost axis of both; where the file folds axis 0 (T, D out of 1, T, D) it is inferred.
  const graph::Shape& shape = tensor(from_tensor).shape;
  sizes[0] = !shape.empty() && shape[0] == sizes[0] ? 0 : -1;
  return sizes;
}

}  // namespace qatgap::frontends::tflite
