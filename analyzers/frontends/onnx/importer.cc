#include "analyzers/frontends/onnx/importer.h"

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::onnx {
namespace {

// Operators that carry a weight, and which input it is.
int WeightInputOf(std::string_view op_type) {
  constexpr std::array kSecond = {"Conv", "ConvTranspose", "Gemm", "MatMul"};
  constexpr std::array kFourth = {"QLinearConv", "QLinearMatMul", "QGemm"};
  if (std::find(kSecond.begin(), kSecond.end(), op_type) != kSecond.end()) return 1;
  return std::find(kFourth.begin(), kFourth.end(), op_type) != kFourth.end() ? 3 : -1;
}

// What leaves the name of a weight as it is.
bool PassesWeightOn(std::string_view op_type) {
  constexpr std::array kPassing = {"QuantizeLinear", "DequantizeLinear", "Clip", "Transpose", "Identity", "Reshape"};
  return std::find(kPassing.begin(), kPassing.end(), op_type) != kPassing.end();
}

Importer::Handler FindOperator(std::string_view op_type) {
  for (const auto find : {FindQuantizationOperator, FindQuantizedOperator, FindMacOperator, FindElementwiseOperator,
                          FindWindowOperator, FindConstantOperator, FindSelectionOperator, FindLayoutOperator,
                          FindExpansionOperator, FindReductionOperator, FindResizeOperator, FindControlFlowOperator}) {
    if (const Importer::Handler handler = find(op_type)) return handler;
  }
  return nullptr;
}

}  // namespace

absl::Status Importer::Run() {
  scopes_.emplace_back();
  QATGAP_RETURN_IF_ERROR(DefineInitializers(model_.graph()));
  QATGAP_RETURN_IF_ERROR(DefineInputs());
  ReadValueInfo(model_.graph());
  QATGAP_RETURN_IF_ERROR(RunNodes(model_.graph()));
  for (const ::onnx::ValueInfoProto& output : model_.graph().output()) {
    const Slot* slot = Find(output.name());
    if (slot == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("no node makes the output '", output.name(), "'; export the model again"));
    }
    QATGAP_ASSIGN_OR_RETURN(const Symbol symbol, AsSymbol(*slot));
    graph_.body.outputs.push_back(symbol.value);
    graph_.output_names.push_back(output.name());
  }
  if (graph_.body.outputs.empty()) return absl::InvalidArgumentError("the graph has no output; export the model again");
  return absl::OkStatus();
}

absl::Status Importer::DefineInitializers(const ::onnx::GraphProto& graph) {
  if (graph.sparse_initializer_size() != 0) {
    return absl::FailedPreconditionError(
        "the model has sparse initializers, which are not taken; save it with dense ones");
  }
  for (const ::onnx::TensorProto& tensor : graph.initializer()) {
    QATGAP_ASSIGN_OR_RETURN(Literal literal, DecodeTensor(tensor, "initializer"));
    initializer_behind_[tensor.name()] = tensor.name();
    QATGAP_RETURN_IF_ERROR(Define(tensor.name(), std::move(literal)));
  }
  return absl::OkStatus();
}

// Axis 0 of the first input that is no initializer.
void Importer::FindBatch() {
  for (const ::onnx::ValueInfoProto& input : model_.graph().input()) {
    if (scopes_.back().contains(input.name()) || input.type().tensor_type().shape().dim_size() == 0) continue;
    const auto& extent = input.type().tensor_type().shape().dim(0);
    batch_name_ = extent.dim_param();
    if (extent.has_dim_value() && extent.dim_value() > 0) batch_ = extent.dim_value();
    return;
  }
}

// Of an input or a value_info.
MaybeShape Importer::DeclaredShape(const ::onnx::ValueInfoProto& info) const {
  if (!info.type().has_tensor_type() || !info.type().tensor_type().has_shape()) return std::nullopt;
  graph::Shape shape;
  for (const auto& extent : info.type().tensor_type().shape().dim()) {
    const bool known = extent.has_dim_value() && extent.dim_value() >= 0;
    const bool named = !batch_name_.empty() && extent.dim_param() == batch_name_;
    const bool fixed = shape.empty() && known && extent.dim_value() == batch_;
    shape.push_back(named || fixed ? BatchTimes(1) : known ? extent.dim_value() : kUnknown);
  }
  return shape;
}

absl::Status Importer::DefineInputs() {
  FindBatch();
  for (const ::onnx::ValueInfoProto& input : model_.graph().input()) {
    if (scopes_.back().contains(input.name())) continue;  // an initializer's default, as old exporters list them
    if (!input.type().has_tensor_type()) {
      return absl::FailedPreconditionError(
          absl::StrCat("input '", input.name(), "' is no tensor; give the model tensors"));
    }
    const int type = input.type().tensor_type().elem_type();
    if (type == element::kString ||
        (!IsReal(type) && type != element::kBool && type != element::kInt64 && !CodeRangeOf(type))) {
      return absl::FailedPreconditionError(
          absl::StrCat("input '", input.name(), "' has elements of ", ElementName(type), "; give the model float32"));
    }
    const graph::ValueId value = graph_.AddValue(input.name());
    constant_.resize(graph_.values.size(), false);
    graph_.inputs.push_back(value);
    MaybeShape shape = DeclaredShape(input);
    if (shape && !shape->empty() && shape->front() == kUnknown)
      shape->front() = BatchTimes(1);  // open, and without a name
    QATGAP_RETURN_IF_ERROR(Define(input.name(), Symbol{.value = value, .type = type, .shape = std::move(shape)}));
  }
  return absl::OkStatus();
}

void Importer::ReadValueInfo(const ::onnx::GraphProto& graph) {
  for (const ::onnx::ValueInfoProto& info : graph.value_info()) {
    if (auto shape = DeclaredShape(info)) declared_[info.name()] = *std::move(shape);
  }
}

absl::Status Importer::RunNodes(const ::onnx::GraphProto& graph) {
  for (const ::onnx::NodeProto& node : graph.node()) QATGAP_RETURN_IF_ERROR(RunNode(node));
  return absl::OkStatus();
}

void Importer::NameModule(const ::onnx::NodeProto& proto) {
  current_ = OriginOf(proto);
  current_op_ = proto.op_type();
  const int weight = WeightInputOf(proto.op_type());
  if (weight < 0 || (current_.named && !current_.of_batch_norm)) return;
  std::string owner = weight < proto.input_size() ? ModuleOfWeight(InitializerBehind(proto.input(weight))) : "";
  if (!owner.empty() || !current_.named) current_.module_path = std::move(owner);
  if (current_.module_path.empty()) {
    current_.module_path =
        WithoutToolSuffix(!proto.name().empty() || proto.output_size() == 0 ? proto.name() : proto.output(0));
  }
}

absl::Status Importer::RunNode(const ::onnx::NodeProto& proto) {
  if (++nodes_run_ > kMaxNodes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the model runs more than ", kMaxNodes, " nodes, its loops unrolled; export a smaller one"));
  }
  NameModule(proto);
  const NodeOrigin origin = current_;  // a subgraph has origins of its own
  const auto in_node = [&](const absl::Status& status) {
    const NodeView view(proto, opset_, {});
    return absl::Status(
        status.code(),
        absl::StrCat(view.Label(), origin.module_path.empty() ? "" : " in module '" + origin.module_path + "'", ": ",
                     status.message()));
  };
  std::vector<Slot> inputs;
  for (const std::string& name : proto.input()) {
    if (name.empty()) {
      inputs.emplace_back();
      continue;
    }
    const Slot* slot = Find(name);
    if (slot == nullptr) {
      return in_node(absl::InvalidArgumentError(
          absl::StrCat("reads '", name, "', which nothing before it makes; export the model again")));
    }
    inputs.push_back(*slot);
  }
  constexpr std::array<std::string_view, 3> kDomains = {"", "ai.onnx", "com.microsoft"};
  const bool known_domain = std::find(kDomains.begin(), kDomains.end(), proto.domain()) != kDomains.end();
  const Handler handler = known_domain ? FindOperator(proto.op_type()) : nullptr;
  if (handler == nullptr) {
    return in_node(absl::FailedPreconditionError(
        known_domain
            ? "is not an operator that is taken; export the model with standard operators in quantize/dequantize form"
            : "is of a domain that is not taken; inline local functions (onnx.inliner.inline_local_functions), and "
              "use standard operators"));
  }
  const NodeView view(proto, opset_, std::move(inputs));
  Results results = handler(*this, view);
  if (!results.ok()) return in_node(results.status());
  for (int i = 0; i < proto.output_size(); ++i) {
    const std::string& name = proto.output(i);
    if (name.empty()) continue;
    const auto index = static_cast<std::size_t>(i);
    Slot slot = index < results->size() ? std::move((*results)[index]) : Slot();
    if (std::holds_alternative<std::monostate>(slot)) continue;  // an optional output: reading it is an error
    if (auto* symbol = std::get_if<Symbol>(&slot)) {
      const auto declared = declared_.find(name);
      if (!symbol->shape && declared != declared_.end() && scopes_.size() == 1) symbol->shape = declared->second;
    }
    if (i == 0 && proto.input_size() > 0 && PassesWeightOn(proto.op_type())) {
      if (const std::string& behind = InitializerBehind(proto.input(0)); !behind.empty())
        initializer_behind_[name] = behind;
    }
    if (absl::Status status = Define(name, std::move(slot)); !status.ok()) return in_node(status);
  }
  return absl::OkStatus();
}

const std::string& Importer::InitializerBehind(const std::string& name) const {
  static const std::string kNone;
  const auto it = initializer_behind_.find(name);
  return it == initializer_behind_.end() ? kNone : it->second;
}

absl::Status Importer::Define(const std::string& name, Slot slot) {
  if (!scopes_.back().emplace(name, std::move(slot)).second) {
    return absl::InvalidArgumentError(absl::StrCat("'", name, "' is made twice; export the model again"));
  }
  return absl::OkStatus();
}

const Slot* Importer::Find(const std::string& name) const {
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    if (const auto it = scope->find(name); it != scope->end()) return &it->second;
  }
  return nullptr;
}

absl::StatusOr<std::vector<Slot>> Importer::RunSubgraph(const ::onnx::GraphProto& graph, graph::Block& block,
                                                        std::map<std::string, Slot> bound) {
  if (scopes_.size() > kMaxDepth) {
    return absl::ResourceExhaustedError(
        absl::StrCat("subgraphs are nested deeper than ", kMaxDepth, "; flatten the model"));
  }
  graph::Block* const outer = block_;
  const NodeOrigin origin = current_;
  const std::string op = current_op_;
  block_ = &block;
  scopes_.push_back(std::move(bound));
  absl::Status status = DefineInitializers(graph);
  if (status.ok()) status = RunNodes(graph);
  std::vector<Slot> outputs;
  for (const ::onnx::ValueInfoProto& output : graph.output()) {
    const Slot* slot = Find(output.name());
    if (slot == nullptr && status.ok()) {
      status = absl::InvalidArgumentError(
          absl::StrCat("no node makes the output '", output.name(), "' of a subgraph; export the model again"));
    }
    if (slot != nullptr) outputs.push_back(*slot);
  }
  scopes_.pop_back();
  block_ = outer;
  current_ = origin;
  current_op_ = op;
  if (!status.ok()) return status;
  return outputs;
}

}  // namespace qatgap::frontends::onnx
