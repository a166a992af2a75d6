// Operators without a kind of their own: kOperator nodes, with the file's arguments in the order of the schema.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/pt2/importer.h"
#include "analyzers/frontends/pt2/operator_schemas.h"
#include "analyzers/graph/operator_names.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::pt2 {
namespace {

using graph::Argument;
using graph::OpKind;
using graph::ValueId;

// Builds one node: its operands and its arguments.
class Caller {
 public:
  Caller(Importer& importer, const Call& call) : importer_(importer), call_(call) {}

  absl::Status Run() {
    if (!graph::IsAllowedOperator(call_.name)) return importer_.Unknown(call_);
    QATGAP_RETURN_IF_ERROR(AddArguments());
    const std::vector<std::string> outputs = Importer::OutputsOf(call_);
    if (outputs.empty()) return importer_.Unknown(call_);
    std::vector<ValueId> values = importer_.EmitMany(
        call_, OpKind::kOperator, std::move(inputs_),
        graph::OperatorAttributes{.name = call_.name, .overload = call_.overload, .arguments = std::move(arguments_)},
        static_cast<int>(outputs.size()));
    if (codes_of_ < 0) return importer_.BindAll(call_, values);
    for (ValueId& value : values) value = importer_.Emit(call_, OpKind::kQuantizeLike, {value, codes_of_});
    QATGAP_RETURN_IF_ERROR(importer_.BindAll(call_, values));
    for (const std::string& name : outputs) {
      if (name.empty()) continue;
      QATGAP_ASSIGN_OR_RETURN(Slot * slot, importer_.Named(name));
      slot->codes = codes_;
    }
    return absl::OkStatus();
  }

 private:
  absl::Status AddArguments() {
    if (const OperatorSchema* schema = FindSchema(call_.name, call_.overload)) {
      std::size_t used = 0;
      for (const auto& [name, otherwise] : schema->arguments) {
        if (call_.Find(name) == nullptr) {
          arguments_.push_back(otherwise);
          continue;
        }
        QATGAP_RETURN_IF_ERROR(Add(name, *call_.Find(name)));
        used = arguments_.size();
      }
      arguments_.resize(used);
      return absl::OkStatus();
    }
    for (const ProgramArgument& input : call_.node.inputs) {
      const bool without_effect = std::holds_alternative<Ignored>(input.value) ||
                                  std::holds_alternative<std::monostate>(input.value) || input.name == "pin_memory";
      if (!input.keyword) {
        QATGAP_RETURN_IF_ERROR(Add(input.name, input.value));
      } else if (!without_effect) {
        return importer_.Refuse(absl::StrCat("the keyword argument '", input.name, "' of operator ", call_.file_name),
                                "leave it out, or report the operator");
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<graph::TensorArgument> Operand(const std::string& name, std::string_view argument) {
    QATGAP_ASSIGN_OR_RETURN(const Slot* found, importer_.Named(name));
    const Slot slot = *found;
    ValueId value = -1;
    if (slot.codes != nullptr && inputs_.empty() && graph::MovesElements(call_.name)) {
      codes_of_ = slot.value;
      codes_ = slot.codes;
      value = importer_.Emit(call_, OpKind::kDequantize, {slot.value});
    } else {
      QATGAP_ASSIGN_OR_RETURN(value, importer_.RealOf(slot, argument));
    }
    inputs_.push_back(value);
    return graph::TensorArgument{static_cast<int>(inputs_.size()) - 1};
  }

  // A number where the operator takes a tensor: floor_divide(x, 2), eq.Tensor(x, 2).
  bool StandsForTensor(std::string_view argument) const {
    return argument == "other" && (call_.overload.starts_with("Tensor") || call_.name == "aten::floor_divide" ||
                                   call_.name == "aten::maximum" || call_.name == "aten::minimum");
  }

  absl::Status Add(std::string_view argument, const ProgramValue& value) {
    if (const auto* tensor = std::get_if<TensorName>(&value)) {
      QATGAP_ASSIGN_OR_RETURN(const graph::TensorArgument operand, Operand(tensor->name, argument));
      arguments_.emplace_back(operand);
      return absl::OkStatus();
    }
    if (const auto* tensors = std::get_if<TensorNames>(&value)) {
      graph::TensorListArgument list;
      for (const auto& name : tensors->names) {
        if (!name) {
          list.inputs.push_back(-1);
          continue;
        }
        QATGAP_ASSIGN_OR_RETURN(const graph::TensorArgument operand, Operand(*name, argument));
        list.inputs.push_back(operand.input);
      }
      arguments_.emplace_back(std::move(list));
      return absl::OkStatus();
    }
    const bool number = std::holds_alternative<double>(value) || std::holds_alternative<std::int64_t>(value);
    if (number && StandsForTensor(argument)) {
      const TensorMeta* self = importer_.MetaOf(call_, "self");
      QATGAP_ASSIGN_OR_RETURN(
          const ValueId constant,
          importer_.RealOrNumber(call_, argument, self == nullptr ? ScalarType::kFloat32 : self->dtype));
      inputs_.push_back(constant);
      arguments_.emplace_back(graph::TensorArgument{static_cast<int>(inputs_.size()) - 1});
      return absl::OkStatus();
    }
    return AddPlain(argument, value);
  }

  absl::Status AddPlain(std::string_view argument, const ProgramValue& value) {
    if (const auto* flag = std::get_if<bool>(&value)) {
      arguments_.emplace_back(*flag);
    } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
      arguments_.emplace_back(*integer);
    } else if (const auto* real = std::get_if<double>(&value)) {
      arguments_.emplace_back(*real);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      arguments_.emplace_back(*text);
    } else if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&value)) {
      arguments_.emplace_back(*integers);
    } else if (const auto* reals = std::get_if<std::vector<double>>(&value)) {
      arguments_.emplace_back(*reals);
    } else if (const auto* flags = std::get_if<std::vector<bool>>(&value)) {
      arguments_.emplace_back(*flags);
    } else if (const auto* type = std::get_if<ScalarType>(&value)) {
      const auto number = DispatcherNumber(*type);
      if (!number) return importer_.Refuse(absl::StrCat("a tensor of ", ToString(*type)), "keep the model in float32");
      arguments_.emplace_back(*number);
    } else if (std::holds_alternative<std::monostate>(value) || std::holds_alternative<Ignored>(value)) {
      arguments_.emplace_back(std::monostate{});
    } else if (std::holds_alternative<SymbolicInts>(value) && call_.name == "aten::expand") {
      QATGAP_ASSIGN_OR_RETURN(std::vector<std::int64_t> sizes, importer_.ReshapeSizes(call_, "self", argument));
      std::replace(sizes.begin(), sizes.end(), std::int64_t{0}, std::int64_t{-1});  // expand keeps an extent at -1
      arguments_.emplace_back(std::move(sizes));
    } else if (std::holds_alternative<SymbolicInts>(value) || std::holds_alternative<SymbolicName>(value)) {
      return importer_.Refuse(
          absl::StrCat("the argument '", Text(argument), "' of ", call_.file_name, " depends on the size of the input"),
          "export with fixed sizes (only the batch may be dynamic)");
    } else {
      return importer_.Unknown(call_);
    }
    return absl::OkStatus();
  }

  Importer& importer_;
  const Call& call_;
  std::vector<ValueId> inputs_;
  std::vector<Argument> arguments_;
  ValueId codes_of_ = -1;
  std::shared_ptr<const numerics::QuantParams> codes_;
};

}  // namespace

absl::Status ImportByName(Importer& importer, const Call& call) { return Caller(importer, call).Run(); }

}  // namespace qatgap::frontends::pt2
