// Operators that move, cut and join elements.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/tflite/constants.h"
#include "analyzers/frontends/tflite/operators.h"
#include "analyzers/status/status_macros.h"

namespace qatgap::frontends::tflite {
namespace {

using graph::OpKind;
using graph::TensorArgument;
using graph::ValueId;

// One axis of a value cut to begin, begin + step, ... below end.
ValueId Cut(Importer& importer, ValueId x, const AxisOrder& order, int axis, std::int64_t begin, std::int64_t end,
            std::int64_t step) {
  return importer.Call("aten::slice", "Tensor", {x},
                       {TensorArgument{0}, std::int64_t{AxisOfValue(order, axis)}, begin, end, step})[0];
}

}  // namespace

// RESHAPE, SQUEEZE and EXPAND_DIMS: the output's declared shape says it all.
absl::Status ImportReshape(Importer& importer, const OperatorRecord& op) {
  QATGAP_RETURN_IF_ERROR(op.Require(1, 1));
  const TensorRecord& input = importer.tensor(op.input(0));
  const TensorRecord& output = importer.tensor(op.outputs[0]);
  QATGAP_ASSIGN_OR_RETURN(const Entry entry, importer.Read(op.input(0)));
  if (graph::ElementCount(input.shape) != graph::ElementCount(output.shape)) {
    return absl::InvalidArgumentError(absl::StrCat("its shapes ", graph::ToString(input.shape), " and ",
                                                   graph::ToString(output.shape),
                                                   " hold different numbers of elements"));
  }
  for (std::size_t axis = 1; axis < output.shape.size(); ++axis) {
    if (!output.dynamic[axis]) continue;
    return absl::FailedPreconditionError(absl::StrCat("its output's axis ", axis,
                                                      " is not fixed; convert the model with "
                                                      "fixed sizes"));
  }
  const ValueId x = importer.InOrder(entry, FileOrder(entry.order.size()));
  const ValueId reshaped = importer.Emit(
      OpKind::kReshape, {x}, graph::SizesAttributes{.sizes = importer.SizesOf(entry, op.input(0), op.outputs[0])});
  return importer.Write(op.outputs[0], reshaped, FileOrder(output.shape.size()), &entry);
}

absl::Status ImportTranspose(Importer& importer, const OperatorRecord& op) {
  QATGAP_RETURN_IF_ERROR(op.Require(2, 1));
  QATGAP_ASSIGN_OR_RETURN(const Entry entry, importer.Read(op.input(0)));
  QATGAP_ASSIGN_OR_RETURN(const auto axes, Integers(importer.tensor(op.input(1))));
  const std::size_t rank = entry.order.size();
  std::vector<int> position(rank, -1);  // of an input's axis in the output
  for (std::size_t i = 0; i < axes.size() && axes.size() == rank; ++i) {
    QATGAP_ASSIGN_OR_RETURN(const int axis, NormalAxis(axes[i], rank));
    position[static_cast<std::size_t>(axis)] = static_cast<int>(i);
  }
  if (std::count(position.begin(), position.end(), -1) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("its permutation does not name each of ", rank, " axes once"));
  }
  if (rank > 0 && position[0] != 0) importer.TouchesAxis(entry, 0);
  AxisOrder order;
  for (const int axis : entry.order) order.push_back(position[static_cast<std::size_t>(axis)]);
  return importer.Write(op.outputs[0], entry.real, std::move(order), &entry);
}

absl::Status ImportConcatenation(Importer& importer, const OperatorRecord& op) {
  QATGAP_RETURN_IF_ERROR(op.Require(op.inputs.size(), 1));
  QATGAP_ASSIGN_OR_RETURN(const auto* options, OptionsOf<schema::ConcatenationOptions>(op));
  if (op.inputs.empty()) return absl::InvalidArgumentError("it has no inputs");
  // The order of the first operand that is no constant: constants come in any.
  AxisOrder order;
  bool batched = false, constants = false;
  for (const int input : op.inputs) {
    if (importer.tensor(importer.Resolve(input)).constant()) {
      constants = true;
      continue;
    }
    QATGAP_ASSIGN_OR_RETURN(const Entry entry, importer.Read(input));
    if (order.empty()) order = entry.order;
    batched = batched || entry.batched;
  }
  if (order.empty()) order = FileOrder(importer.tensor(op.inputs[0]).shape.size());
  QATGAP_ASSIGN_OR_RETURN(const int axis, NormalAxis(options->axis(), order.size()));
  // A constant has the extent of the file's batch.
  if (batched && (axis == 0 || constants)) importer.MixesBatch();
  std::vector<ValueId> values;
  for (const int input : op.inputs) {
    QATGAP_ASSIGN_OR_RETURN(const ValueId value, importer.ReadIn(input, order));
    values.push_back(value);
  }
  const ValueId joined =
      importer.Emit(OpKind::kConcat, std::move(values), graph::AxisAttributes{.axis = AxisOfValue(order, axis)});
  return importer.WriteActivated(op.outputs[0], joined, order, options->activation());
}

// SPLIT (axis, x) into equal parts, SPLIT_V (x, sizes, axis).
absl::Status ImportSplit(Importer& importer, const OperatorRecord& op) {
  const bool sized = op.code == schema::BuiltinOperator::SPLIT_V;
  QATGAP_RETURN_IF_ERROR(op.Require(sized ? 3 : 2, 1));
  const int x = op.input(sized ? 0 : 1);
  const TensorRecord& input = importer.tensor(x);
  QATGAP_ASSIGN_OR_RETURN(const auto axes, Integers(importer.tensor(op.input(sized ? 2 : 0))));
  if (axes.size() != 1) return absl::InvalidArgumentError("it has no single axis");
  QATGAP_ASSIGN_OR_RETURN(const int axis, NormalAxis(axes[0], input.shape.size()));
  const std::int64_t extent = input.shape[static_cast<std::size_t>(axis)];
  const auto parts = static_cast<std::int64_t>(op.outputs.size());
  std::vector<std::int64_t> sizes(op.outputs.size(), extent / parts);
  if (sized) {
    QATGAP_ASSIGN_OR_RETURN(sizes, Integers(importer.tensor(op.input(1))));
    std::int64_t rest = extent;
    for (const std::int64_t size : sizes) rest -= std::clamp<std::int64_t>(size, 0, extent);
    std::replace(sizes.begin(), sizes.end(), std::int64_t{-1}, rest);
  }
  std::int64_t total = 0;
  for (const std::int64_t size : sizes) total += size < 0 || size > extent ? extent + 1 : size;
  if (sizes.size() != op.outputs.size() || total != extent) {
    return absl::InvalidArgumentError(
        absl::StrCat("its ", op.outputs.size(), " parts do not add up to the extent ", extent));
  }
  QATGAP_ASSIGN_OR_RETURN(const Entry entry, importer.Read(x));
  importer.TouchesAxis(entry, axis);
  const std::vector<ValueId> values =
      importer.Call("aten::split_with_sizes", "", {entry.real},
                    {TensorArgument{0}, sizes, std::int64_t{AxisOfValue(entry.order, axis)}}, static_cast<int>(parts));
  for (std::size_t i = 0; i < values.size(); ++i) {
    QATGAP_RETURN_IF_ERROR(importer.Write(op.outputs[i], values[i], entry.order, &entry));
  }
  return absl::OkStatus();
}

absl::Status ImportSlice(Importer& importer, const OperatorRecord& op) {
  QATGAP_RETURN_IF_ERROR(op.Require(3, 1));
  QATGAP_ASSIGN_OR_RETURN(const Entry entry, importer.Read(op.input(0)));
  QATGAP_ASSIGN_OR_RETURN(const auto begin, Integers(importer.tensor(op.input(1))));
  QATGAP_ASSIGN_OR_RETURN(const auto size, Integers(importer.tensor(op.input(2))));
  const TensorRecord& input = importer.tensor(op.input(0));
  if (begin.size() != entry.order.size() || size.size() != entry.order.size()) {
    return absl::InvalidArgumentError(absl::StrCat("it cuts ", begin.size(), " axes of ", entry.order.size()));
  }
  ValueId value = entry.real;
  for (std::size_t i = 0; i < begin.size(); ++i) {
    const std::int64_t extent = input.shape[i];
    if (begin[i] < 0 || begin[i] > extent || size[i] < -1 || size[i] > extent - begin[i]) {
      return absl::InvalidArgumentError(
          absl::StrCat("it cuts axis ", i, " of ", extent, " at ", begin[i], ", ", size[i]));
    }
    if (begin[i] == 0 && (size[i] == -1 || size[i] == extent)) continue;
    importer.TouchesAxis(entry, static_cast<std::int64_t>(i));
    value = Cut(importer, value, entry.order, static_cast<int>(i), begin[i],
                size[i] == -1 ? extent : begin[i] + size[i], 1);
  }
  return importer.Write(op.outputs[0], value, entry.order, &entry);
}

absl::Status ImportStridedSlice(Importer& importer, const OperatorRecord& op) {
  QATGAP_RETURN_IF_ERROR(op.Require(4, 1));
  QATGAP_ASSIGN_OR_RETURN(const auto* options, OptionsOf<schema::StridedSliceOptions>(op));
  QATGAP_ASSIGN_OR_RETURN(const Entry entry, importer.Read(op.input(0)));
  QATGAP_ASSIGN_OR_RETURN(const auto begin, Integers(importer.tensor(op.input(1))));
  QATGAP_ASSIGN_OR_RETURN(const auto end, Integers(importer.tensor(op.input(2))));
  QATGAP_ASSIGN_OR_RETURN(const auto step, Integers(importer.tensor(op.input(3))));
  const TensorRecord& input = importer.tensor(op.input(0));
  if (options->ellipsis_mask() != 0 || options->new_axis_mask() != 0 || options->offset()) {
    return absl::FailedPreconditionError("an ellipsis, new axes and offsets in a slice are not imported");
  }
  if (begin.size() > entry.order.size() || end.size() != begin.size() || step.size() != begin.size() ||
      begin.size() > 31) {
    return absl::InvalidArgumentError(absl::StrCat("it cuts ", begin.size(), " axes of ", entry.order.size()));
  }
  ValueId value = entry.real;
  std::vector<int> dropped;
  for (std::size_t i = 0; i < begin.size(); ++i) {
    const auto masked = [&](std::int32_t mask) { return ((static_cast<std::uint32_t>(mask) >> i) & 1U) != 0; };
    const std::int64_t extent = input.shape[i];
    if (step[i] < 1) return absl::FailedPreconditionError(absl::StrCat("its step ", step[i], " is not imported"));
    const auto place = [extent](std::int64_t at) {
      return std::clamp<std::int64_t>(at < 0 ? at + extent : at, 0, extent);
    };
    const std::int64_t first = masked(options->begin_mask()) ? 0 : place(begin[i]);
    const bool shrinks = masked(options->shrink_axis_mask());
    const std::int64_t last = shrinks ? first + 1 : masked(options->end_mask()) ? extent : place(end[i]);
    if (shrinks) dropped.push_back(static_cast<int>(i));
    if (shrinks && first >= extent) {
      return absl::InvalidArgumentError(absl::StrCat("it takes element ", begin[i], " of axis ", i, " of ", extent));
    }
    if (first == 0 && last == extent && step[i] == 1 && !shrinks) continue;
    importer.TouchesAxis(entry, static_cast<std::int64_t>(i));
    if (!shrinks) value = Cut(importer, value, entry.order, static_cast<int>(i), first, last, step[i]);
  }
  // From the last axis of the value to the first, so that the others keep their places.
  for (std::size_t i = entry.order.size(); i-- > 0;) {
    const int axis = entry.order[i];
    if (std::find(dropped.begin(), dropped.end(), axis) == dropped.end()) continue;
    const auto at = static_cast<std::size_t>(axis);
    const std::int64_t extent = input.shape[at];
    const bool masked = ((static_cast<std::uint32_t>(options->begin_mask()) >> at) & 1U) != 0;
    const std::int64_t element = masked ? 0 : begin[at] < 0 ? begin[at] + extent : begin[at];
    value = importer.Call("aten::select", "int", {value},
                          {TensorArgument{0}, static_cast<std::int64_t>(i), std::max<std::int64_t>(element, 0)})[0];
  }
  return importer.Write(op.outputs[0], value, WithoutAxes(entry.order, dropped), &entry);
}

absl::Status ImportPack(Importer& importer, const OperatorRecord& op) {
  QATGAP_RETURN_IF_ERROR(op.Require(op.inputs.size(), 1));
  QATGAP_ASSIGN_OR_RETURN(const auto* options, OptionsOf<schema::PackOptions>(op));
  if (op.inputs.empty()) return absl::InvalidArgumentError("it has no inputs");
  const std::size_t rank = importer.tensor(op.inputs[0]).shape.size();
  QATGAP_ASSIGN_OR_RETURN(const int axis, NormalAxis(options->axis(), rank + 1));
  std::vector<ValueId> values;
  graph::TensorListArgument list;
  std::size_t batched = 0;
  for (const int input : op.inputs) {
    QATGAP_ASSIGN_OR_RETURN(const Entry entry, importer.Read(input));
    batched += entry.batched ? 1U : 0U;
    QATGAP_ASSIGN_OR_RETURN(const ValueId value, importer.ReadIn(input, FileOrder(rank)));
    list.inputs.push_back(static_cast<int>(values.size()));
    values.push_back(value);
  }
  if (batched > 0 && (axis == 0 || batched < values.size())) importer.MixesBatch();
  const ValueId packed = importer.Call("aten::stack", "", std::move(values), {std::move(list), std::int64_t{axis}})[0];
  return importer.Write(op.outputs[0], packed, FileOrder(rank + 1));
}

absl::Status ImportUnpack(Importer& importer, const OperatorRecord& op) {
  QATGAP_RETURN_IF_ERROR(op.Require(1, 1));
  QATGAP_ASSIGN_OR_RETURN(const auto* options, OptionsOf<schema::UnpackOptions>(op));
  QATGAP_ASSIGN_OR_RETURN(const Entry entry, importer.Read(op.input(0)));
  QATGAP_ASSIGN_OR_RETURN(const int axis, NormalAxis(options->axis(), entry.order.size()));
  importer.TouchesAxis(entry, axis);
  const std::vector<ValueId> values = importer.Call("aten::unbind", "int", {entry.real},
                                                    {TensorArgument{0}, std::int64_t{AxisOfValue(entry.order, axis)}},
                                                    static_cast<int>(op.outputs.size()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    QATGAP_RETURN_IF_ERROR(importer.Write(op.outputs[i], values[i], WithoutAxes(entry.order, {axis}), &entry));
  }
  return absl::OkStatus();
}

}  // namespace qatgap::frontends::tflite
