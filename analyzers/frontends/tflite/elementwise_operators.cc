// Operators on one element at a time, softmax and reductions. They keep whatever order of axes they find.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/tflite/constants.h"
#include "analyzers/frontends/tflite/operators.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::tflite {
namespace {

using graph::OpKind;
using graph::TensorArgument;
using graph::ValueId;
using schema::ActivationFunctionType;
using schema::BuiltinOperator;

ActivationFunctionType ActivationOf(const OperatorRecord& op) {
  const schema::Operator& record = *op.record;
  if (const auto* add = record.builtin_options_as_AddOptions()) return add->activation();
  if (const auto* sub = record.builtin_options_as_SubOptions()) return sub->activation();
  if (const auto* mul = record.builtin_options_as_MulOptions()) return mul->activation();
  if (const auto* div = record.builtin_options_as_DivOptions()) return div->activation();
  return ActivationFunctionType::NONE;
}

ValueId Combine(Importer& importer, BuiltinOperator code, ValueId a, ValueId b) {
  const auto call = [&](const char* name) {
    return importer.Call(name, "", {a, b}, {TensorArgument{0}, TensorArgument{1}})[0];
  };
  switch (code) {
    case BuiltinOperator::ADD:
      return importer.Emit(OpKind::kAdd, {a, b});
    case BuiltinOperator::SUB:
      return importer.Emit(OpKind::kSub, {a, b});
    case BuiltinOperator::MUL:
      return importer.Emit(OpKind::kMul, {a, b});
    case BuiltinOperator::DIV:
      return importer.Emit(OpKind::kDiv, {a, b});
    case BuiltinOperator::MAXIMUM:
      return call("aten::maximum");
    case BuiltinOperator::MINIMUM:
      return call("aten::minimum");
    default: {  // SQUARED_DIFFERENCE
      const ValueId difference = importer.Emit(OpKind::kSub, {a, b});
      return importer.Emit(OpKind::kMul, {difference, difference});
    }
  }
}

}  // namespace

absl::Status ImportQuantize(Importer& importer, const OperatorRecord& op) {
  QATGAP_RETURN_IF_ERROR(op.Require(1, 1));
  QATGAP_ASSIGN_OR_RETURN(const Entry entry, importer.Read(op.input(0)));
  return importer.Write(op.outputs[0], entry.real, entry.order, &entry);
}

absl::Status ImportDequantize(Importer& importer, const OperatorRecord& op) {
  QATGAP_RETURN_IF_ERROR(op.Require(1, 1));
  if (importer.tensor(op.input(0)).constant()) return importer.Alias(op.outputs[0], op.input(0));
  QATGAP_ASSIGN_OR_RETURN(const Entry entry, importer.Read(op.input(0)));
  return importer.Write(op.outputs[0], entry.real, entry.order);
}

absl::Status ImportBinary(Importer& importer, const OperatorRecord& op) {
  QATGAP_RETURN_IF_ERROR(op.Require(2, 1));
  const auto record_of = [&](std::size_t i) -> const TensorRecord& { return importer.tensor(op.input(i)); };
  const auto rank_of = [&](std::size_t i) { return record_of(i).shape.size(); };
  const auto is_constant = [&](std::size_t i) { return importer.tensor(importer.Resolve(op.input(i))).constant(); };
  // The order of the wider operand, of the first one that is no constant where both are as wide.
  const std::size_t rank = std::max(rank_of(0), rank_of(1));
  const std::size_t lead = rank_of(0) == rank_of(1) ? (is_constant(0) ? 1 : 0) : (rank_of(0) == rank ? 0 : 1);
  const std::size_t other = 1 - lead;
  QATGAP_ASSIGN_OR_RETURN(const Entry leading, importer.Read(op.input(lead)));
  const graph::Shape &wide = record_of(lead).shape, &narrow = record_of(other).shape;
  AxisOrder order = leading.order;
  std::array<ValueId, 2> values{};
  bool apart = true;  // samples of a batch
  if (is_constant(other)) {
    QATGAP_ASSIGN_OR_RETURN(values[other], importer.ReadIn(op.input(other), order));
    apart = !leading.batched || narrow.size() < rank || narrow[0] == 1;
  } else {
    QATGAP_ASSIGN_OR_RETURN(const Entry entry, importer.Read(op.input(other)));
    apart = entry.batched == leading.batched || (leading.batched ? narrow : wide)[0] == 1;
    if (narrow.size() == rank) {
      values[other] = importer.InOrder(entry, order);
    } else {
      // It is broadcast along the file's last axes.
      order = FileOrder(rank);
      values[other] = importer.InOrder(entry, FileOrder(narrow.size()));
      if (leading.batched && entry.batched) {
        // T, D beside 1, T, D: with a batch both are N * T rows, but only the wider one shows the samples.
        const bool same = wide[0] == 1 && graph::ElementCount(wide) == graph::ElementCount(narrow);
        apart = same;
        std::vector<std::int64_t> sizes = wide;
        sizes[0] = -1;
        if (same) {
          values[other] = importer.Emit(OpKind::kReshape, {values[other]}, graph::SizesAttributes{.sizes = sizes});
        }
      } else {
        apart = !entry.batched;
      }
    }
  }
  if (!apart) importer.MixesBatch();
  values[lead] = importer.InOrder(leading, order);
  return importer.WriteActivated(op.outputs[0], Combine(importer, op.code, values[0], values[1]), std::move(order),
                                 ActivationOf(op));
}

// max(x, 0) + alpha * min(x, 0)
absl::Status ImportPrelu(Importer& importer, const OperatorRecord& op) {
  QATGAP_RETURN_IF_ERROR(op.Require(2, 1));
  QATGAP_ASSIGN_OR_RETURN(const Entry entry, importer.Read(op.input(0)));
  const TensorRecord& alpha = importer.tensor(importer.Resolve(op.input(1)));
  if (!alpha.constant()) return absl::FailedPreconditionError("its slopes are computed when the model runs");
  QATGAP_ASSIGN_OR_RETURN(const ValueId slopes, importer.ReadIn(op.input(1), entry.order));
  const ValueId positive = importer.Emit(OpKind::kRelu, {entry.real});
  const ValueId negative = importer.Emit(OpKind::kSub, {entry.real, positive});
  const ValueId scaled = importer.Emit(OpKind::kMul, {negative, slopes});
  return importer.Write(op.outputs[0], importer.Emit(OpKind::kAdd, {positive, scaled}), entry.order);
}

absl::Status ImportUnary(Importer& importer, const OperatorRecord& op) {
  QATGAP_RETURN_IF_ERROR(op.Require(1, 1));
  QATGAP_ASSIGN_OR_RETURN(const Entry entry, importer.Read(op.input(0)));
  const ValueId x = entry.real;
  const int output = op.outputs[0];
  const auto write = [&](ValueId value) { return importer.Write(output, value, entry.order); };
  const auto call = [&](const char* name) { return write(importer.Call(name, "", {x}, {TensorArgument{0}})[0]); };
  switch (op.code) {
    case BuiltinOperator::RELU:
      return importer.WriteActivated(output, x, entry.order, ActivationFunctionType::RELU);
    case BuiltinOperator::RELU6:
      return importer.WriteActivated(output, x, entry.order, ActivationFunctionType::RELU6);
    case BuiltinOperator::RELU_N1_TO_1:
      return importer.WriteActivated(output, x, entry.order, ActivationFunctionType::RELU_N1_TO_1);
    case BuiltinOperator::RELU_0_TO_1:
      return write(importer.Emit(OpKind::kClamp, {x}, graph::ClampAttributes{.min = 0, .max = 1}));
    case BuiltinOperator::HARD_SWISH:
      return write(importer.Emit(OpKind::kHardswish, {x}));
    case BuiltinOperator::LOGISTIC:
      return write(importer.Emit(OpKind::kSigmoid, {x}));
    case BuiltinOperator::SQUARE:
      return write(importer.Emit(OpKind::kMul, {x, x}));
    case BuiltinOperator::LEAKY_RELU: {
      QATGAP_ASSIGN_OR_RETURN(const auto* options, OptionsOf<schema::LeakyReluOptions>(op));
      const auto alpha = static_cast<double>(options->alpha());
      return write(importer.Call("aten::leaky_relu", "", {x}, {TensorArgument{0}, alpha})[0]);
    }
    case BuiltinOperator::GELU: {
      const auto* options = op.record->builtin_options_as_GeluOptions();
      const std::string approximate = options != nullptr && options->approximate() ? "tanh" : "none";
      return write(importer.Call("aten::gelu", "", {x}, {TensorArgument{0}, approximate})[0]);
    }
    case BuiltinOperator::ABS:
      return call("aten::abs");
    case BuiltinOperator::ELU:
      return call("aten::elu");
    case BuiltinOperator::EXP:
      return call("aten::exp");
    case BuiltinOperator::LOG:
      return call("aten::log");
    case BuiltinOperator::NEG:
      return call("aten::neg");
    case BuiltinOperator::RSQRT:
      return call("aten::rsqrt");
    case BuiltinOperator::SQRT:
      return call("aten::sqrt");
    default:
      return call("aten::tanh");
  }
}

absl::Status ImportSoftmax(Importer& importer, const OperatorRecord& op) {
  QATGAP_RETURN_IF_ERROR(op.Require(1, 1));
  QATGAP_ASSIGN_OR_RETURN(const auto* options, OptionsOf<schema::SoftmaxOptions>(op));
  QATGAP_ASSIGN_OR_RETURN(const Entry entry, importer.Read(op.input(0)));
  if (entry.order.empty()) return absl::InvalidArgumentError("its input is a scalar");
  const int last = static_cast<int>(entry.order.size()) - 1;
  importer.TouchesAxis(entry, last);
  ValueId x = entry.real;
  if (options->beta() != 1.0F) {
    const float beta = options->beta();
    const ValueId factor =
        importer.Emit(OpKind::kConstant, {},
                      graph::ConstantAttributes{.value = graph::Tensor::Of<float>({}, std::span<const float>(&beta, 1)),
                                                .qparams = {}});
    x = importer.Emit(OpKind::kMul, {x, factor});
  }
  const ValueId result =
      importer.Call("aten::softmax", "int", {x}, {TensorArgument{0}, std::int64_t{AxisOfValue(entry.order, last)}})[0];
  return importer.Write(op.outputs[0], result, entry.order);
}

absl::Status ImportReduction(Importer& importer, const OperatorRecord& op) {
  QATGAP_RETURN_IF_ERROR(op.Require(2, 1));
  const auto* options = op.record->builtin_options_as_ReducerOptions();
  const bool keep = options != nullptr && options->keep_dims();
  QATGAP_ASSIGN_OR_RETURN(const Entry entry, importer.Read(op.input(0)));
  QATGAP_ASSIGN_OR_RETURN(const auto listed, Integers(importer.tensor(op.input(1))));
  std::vector<int> axes;
  for (const std::int64_t number : listed) {
    QATGAP_ASSIGN_OR_RETURN(const int axis, NormalAxis(number, entry.order.size()));
    if (std::find(axes.begin(), axes.end(), axis) == axes.end()) axes.push_back(axis);
  }
  if (axes.empty()) return absl::InvalidArgumentError("it reduces no axis");
  const TensorRecord& input = importer.tensor(op.input(0));
  const auto batch_axis = std::find(axes.begin(), axes.end(), 0);
  // One sample's mean over axis 0 of extent 1 is the sample: such a mean reduces the other axes and only drops axis 0.
  const bool drops_batch = batch_axis != axes.end() && entry.batched && input.shape[0] == 1;
  if (drops_batch) {
    axes.erase(batch_axis);
  } else if (batch_axis != axes.end()) {
    importer.TouchesAxis(entry, 0);
  }
  graph::ReduceAttributes attributes{.axes = {}, .keep_dims = keep};
  for (const int axis : axes) attributes.axes.push_back(AxisOfValue(entry.order, axis));
  std::sort(attributes.axes.begin(), attributes.axes.end());
  const OpKind kind = op.code == BuiltinOperator::MEAN ? OpKind::kMean : OpKind::kSum;
  ValueId reduced = axes.empty() ? entry.real : importer.Emit(kind, {entry.real}, std::move(attributes));
  AxisOrder order = keep ? entry.order : WithoutAxes(entry.order, axes);
  if (drops_batch && !keep) {
    reduced = importer.InOrder(Entry{reduced, order, {}, nullptr, true}, FileOrder(order.size()));
    std::vector<std::int64_t> sizes = importer.tensor(op.outputs[0]).shape;
    if (sizes.empty()) {
      importer.MixesBatch();
    } else {
      sizes[0] = -1;
    }
    reduced = importer.Emit(OpKind::kReshape, {reduced}, graph::SizesAttributes{.sizes = sizes});
    order = FileOrder(sizes.size());
  }
  return importer.Write(op.outputs[0], reduced, std::move(order));
}

}  // namespace qatgap::frontends::tflite
