#include "analyzers/frontends/pt2/importer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "analyzers/frontends/pt2/layer_names.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::frontends::pt2 {
namespace {

// Checks and bookkeeping that exporting adds; they give no tensor.
bool HasNoEffect(std::string_view name) {
  constexpr std::array<std::string_view, 7> kNames = {"aten::_assert_tensor_metadata",
                                                      "aten::_assert_async",
                                                      "aten::_assert_scalar",
                                                      "aten::sym_constrain_range",
                                                      "aten::sym_constrain_range_for_size",
                                                      "aten::_record_function_exit",
                                                      "aten::_assert"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

// All of its outputs are sizes or numbers, which are read from the program's own notes where they are used.
bool GivesSymbols(const ProgramNode& node) {
  return !node.outputs.empty() && std::all_of(node.outputs.begin(), node.outputs.end(), [](const ProgramValue& output) {
    return std::holds_alternative<SymbolicName>(output) || std::holds_alternative<std::int64_t>(output);
  });
}

// "torch.ops.aten.conv_transpose2d.input" is aten::conv_transpose2d with the overload "input".
Call CallOf(const ProgramNode& node) {
  constexpr std::string_view kPrefix = "torch.ops.";
  std::string_view target = node.target;
  if (target.starts_with(kPrefix)) target.remove_prefix(kPrefix.size());
  Call call{.node = node, .name = "", .overload = "", .file_name = std::string(target), .in_place = false};
  const std::size_t space = target.find('.');
  if (space == std::string_view::npos) {
    call.name = std::string(target);
    return call;
  }
  std::string_view name = target.substr(space + 1);
  if (const std::size_t dot = name.find('.'); dot != std::string_view::npos) {
    call.overload = std::string(name.substr(dot + 1));
    name = name.substr(0, dot);
  }
  if (call.overload == "default") call.overload.clear();
  if (name.ends_with('_') && !name.ends_with("__")) {
    call.in_place = true;
    name.remove_suffix(1);
  }
  call.name = absl::StrCat(Text(target.substr(0, space)), "::", Text(name));
  return call;
}

}  // namespace

const ProgramValue* Call::Find(std::string_view argument) const {
  for (const ProgramArgument& input : node.inputs) {
    if (input.name == argument) return &input.value;
  }
  return nullptr;
}

bool Call::Lacks(std::string_view argument) const {
  const ProgramValue* value = Find(argument);
  return value == nullptr || std::holds_alternative<std::monostate>(*value);
}

absl::Status Importer::Refuse(std::string_view what, std::string_view remedy) const {
  return absl::FailedPreconditionError(absl::StrCat(Text(what), " in module '", path_.empty() ? "<root>" : path_, "'",
                                                    source_line_.empty() ? "" : absl::StrCat(" (", source_line_, ")"),
                                                    "; ", Text(remedy)));
}

absl::Status Importer::Unknown(const Call& call) const {
  return Refuse(absl::StrCat("operator ", call.file_name, " is not supported"),
                "replace it, or export the part of the model without it");
}

absl::StatusOr<Model> Importer::Run() {
  Frame frame;
  frame_ = &frame;
  program_graph_ = &program_.graph;
  block_ = &graph_.body;
  ReadLayers(program_.graph, 0);
  QATGAP_RETURN_IF_ERROR(BindInputs());
  QATGAP_RETURN_IF_ERROR(ImportGraph(program_.graph));
  path_.clear();
  source_line_.clear();
  QATGAP_RETURN_IF_ERROR(BindOutputs());
  graph_.body.nodes.insert(graph_.body.nodes.begin(), constants_.nodes.begin(), constants_.nodes.end());
  Model model;
  model.kind = saw_fake_quant_ ? ModelKind::kQat : saw_converted_ ? ModelKind::kConverted : ModelKind::kFloat;
  const bool pt2e = !saw_eager_module_ && (saw_observer_ || saw_converted_);
  graph_.convert_style = pt2e                                    ? graph::ConvertStyle::kPt2e
                         : saw_fake_quant_ && !saw_eager_module_ ? graph::ConvertStyle::kAsIs
                                                                 : graph::ConvertStyle::kEager;
  model.format = pt2e ? "torch.export archive, PT2E" : "torch.export archive";
  model.graph = std::move(graph_);
  return model;
}

// Fused batch norm patterns take the stack and the line of their layer's own node, wherever that stands.
void Importer::ReadLayers(const ProgramGraph& graph, int depth) {
  if (depth > kMaxBranchDepth) return;
  for (const ProgramNode& node : graph.nodes) {
    const std::vector<ModuleFrame> frames = ParseModuleStack(node.module_stack);
    for (const ModuleFrame& frame : frames) {
      saw_eager_module_ = saw_eager_module_ || frame.class_name.starts_with("torch.ao.nn.qat.") ||
                          frame.class_name.starts_with("torch.ao.nn.intrinsic.qat.");
    }
    if (!frames.empty() && !IsPattern(node.module_stack)) {
      Layer& layer = layers_[frames.back().fqn];
      if (layer.stack.empty()) layer.stack = Describe(frames);
      if (layer.source_line.empty()) layer.source_line = SourceLine(node.stack_trace);
    }
    for (const ProgramArgument& input : node.inputs) {
      if (const auto* sub = std::get_if<Subgraph>(&input.value)) ReadLayers(*sub->graph, depth + 1);
    }
  }
}

absl::Status Importer::BindInputs() {
  for (const InputSpec& spec : program_.inputs) {
    const auto* tensor = std::get_if<TensorName>(&spec.value);
    if (spec.kind == InputSpec::Kind::kOther) {
      if (spec.other == "constant_input") continue;  // was fixed while exporting
      return Refuse(absl::StrCat("an input of the kind '", spec.other, "'"), "export a model whose inputs are tensors");
    }
    if (tensor == nullptr) {
      const bool symbol =
          std::holds_alternative<SymbolicName>(spec.value) || std::holds_alternative<Unread>(spec.value);
      if (!symbol) continue;
      return Refuse("an input that is no tensor", "export a model whose inputs are tensors");
    }
    Slot slot{.memory = NewMemory(), .identity = memories_};
    if (spec.kind == InputSpec::Kind::kUserInput) {
      const TensorMeta* meta = Meta(tensor->name);
      if (meta != nullptr) slot.dtype = meta->dtype;
      slot.value = graph_.AddValue(tensor->name);
      constant_.resize(graph_.values.size(), false);
      graph_.inputs.push_back(slot.value);
    } else {
      QATGAP_ASSIGN_OR_RETURN(slot.dtype, weights_.Type(spec.fqn));
      slot.fqn = slot.origin = spec.fqn;
      slot.owned = true;
    }
    QATGAP_RETURN_IF_ERROR(BindSlot(tensor->name, std::move(slot)));
  }
  return absl::OkStatus();
}

absl::Status Importer::BindOutputs() {
  const std::vector<std::string> names = OutputNames(program_.output_spec);
  const auto users = static_cast<std::size_t>(std::count_if(program_.outputs.begin(), program_.outputs.end(),
                                                            [](const OutputSpec& spec) { return spec.user_output; }));
  std::size_t leaf = 0;
  for (const OutputSpec& spec : program_.outputs) {
    if (!spec.user_output) continue;
    std::string name = names.size() == users ? names[leaf] : users == 1 ? "output" : absl::StrCat("output.", leaf);
    ++leaf;
    if (const auto* symbol = std::get_if<SymbolicName>(&spec.value)) {
      return Refuse(absl::StrCat("the output '", name, "' (", symbol->name, ") is a number that depends on the input"),
                    "return tensors");
    }
    const auto* tensor = std::get_if<TensorName>(&spec.value);
    if (tensor == nullptr) continue;  // None, or a number that was fixed while exporting
    QATGAP_ASSIGN_OR_RETURN(Slot * slot, Find(tensor->name));
    QATGAP_ASSIGN_OR_RETURN(const graph::ValueId value, Value(*slot));
    graph_.body.outputs.push_back(value);
    graph_.output_names.push_back(std::move(name));
  }
  if (graph_.body.outputs.empty()) return Refuse("a model without tensor outputs", "return tensors");
  return absl::OkStatus();
}

absl::Status Importer::ImportGraph(const ProgramGraph& graph) {
  const ProgramGraph* outer = program_graph_;
  program_graph_ = &graph;
  for (const ProgramNode& node : graph.nodes) QATGAP_RETURN_IF_ERROR(ImportNode(node));
  program_graph_ = outer;
  return absl::OkStatus();
}

absl::Status Importer::ImportNode(const ProgramNode& node) {
  Call call = CallOf(node);
  NameNode(call);
  if (HasNoEffect(call.name) || GivesSymbols(node)) return absl::OkStatus();
  if (call.name == "higher_order::cond") return ImportCond(call);
  if (call.name == "higher_order::wrap_with_set_grad_enabled") return ImportInline(call, 1);
  if (!call.in_place) {
    if (const Handler handler = FindQuantizedOperator(call)) return handler(*this, call);
    if (const Handler handler = FindMovingOperator(call)) return handler(*this, call);
    if (const Handler handler = FindFloatOperator(call)) return handler(*this, call);
    return ImportByName(*this, call);
  }
  QATGAP_ASSIGN_OR_RETURN(const Slot* target, Tensor(call, "self"));
  const Slot written = *target;
  if (written.owned && written.fqn.ends_with("num_batches_tracked")) return BindAlias(call, "self", Memory::kSame);
  const bool changes = call.name != "aten::detach" && call.name != "aten::requires_grad";
  if (changes && written.owned) {
    return Refuse(absl::StrCat("operator ", call.file_name, " writes to '", written.fqn, "'"),
                  "export the model in eval mode, without state that changes");
  }
  if (changes && written.memory <= first_memory_of_branch_) {
    return Refuse(absl::StrCat("operator ", call.file_name, " in a branch writes to a tensor from outside of it"),
                  "write x = f(x) instead");
  }
  Handler handler = FindMovingOperator(call);
  if (handler == nullptr) handler = FindFloatOperator(call);
  QATGAP_RETURN_IF_ERROR(handler != nullptr ? handler(*this, call) : ImportByName(*this, call));
  if (!changes) return absl::OkStatus();
  const std::vector<std::string> outputs = OutputsOf(call);
  if (outputs.size() != 1) return Unknown(call);
  QATGAP_ASSIGN_OR_RETURN(const Slot* result, Find(outputs[0]));
  Rebind(written, Slot(*result));
  return absl::OkStatus();
}

void Importer::NameNode(const Call& call) {
  const std::vector<ModuleFrame> frames = ParseModuleStack(call.node.module_stack);
  if (IsPattern(call.node.module_stack)) {
    path_ = PatternPath(call);
    const auto layer = layers_.find(path_);
    stack_ = layer == layers_.end() ? std::string() : layer->second.stack;
    source_line_ = layer == layers_.end() ? std::string() : layer->second.source_line;
    return;
  }
  path_ = frames.empty() ? std::string() : frames.back().fqn;
  stack_ = Describe(frames);
  source_line_ = SourceLine(call.node.stack_trace);
}

// A node of a fused batch norm pattern belongs to the layer whose parameter it reads, or whose result.
std::string Importer::PatternPath(const Call& call) {
  for (const std::string_view argument : {"weight", "running_mean"}) {
    const auto* name = std::get_if<TensorName>(call.Find(argument) == nullptr ? nullptr : call.Find(argument));
    if (name == nullptr) continue;
    const auto it = frame_->find(name->name);
    if (it != frame_->end() && !it->second.origin.empty()) return ModuleOf(it->second.origin);
  }
  return ModuleOf(OriginOf(call));
}

std::string Importer::OriginOf(const Call& call) {
  std::string_view wanted = call.Lacks("weight") ? "" : "weight";
  for (const ProgramArgument& input : call.node.inputs) {
    const auto* name = std::get_if<TensorName>(&input.value);
    if (name == nullptr || (!wanted.empty() && input.name != wanted)) continue;
    const auto it = frame_->find(name->name);
    return it == frame_->end() ? std::string() : it->second.origin;
  }
  return "";
}

// --- names and memory ---

absl::StatusOr<Slot*> Importer::Find(const std::string& name) {
  const auto it = frame_->find(name);
  if (it == frame_->end()) {
    return Refuse(absl::StrCat("the value '", name, "' is read, which no operator that is supported gives"),
                  "export the part of the model without it");
  }
  if (it->second.stale) {
    return Refuse(
        absl::StrCat("the value '", name, "' is read after its memory was changed in place through another view"),
        "write x = f(x) instead");
  }
  return &it->second;
}

absl::Status Importer::BindSlot(const std::string& name, Slot slot) {
  const bool half = slot.dtype == ScalarType::kFloat16 || slot.dtype == ScalarType::kBfloat16;
  if (half && slot.fqn.empty()) {
    return Refuse(absl::StrCat("a tensor of ", ToString(slot.dtype)), "keep the model's arithmetic in float32");
  }
  names_of_memory_[slot.memory].push_back(name);
  if (!frame_->insert_or_assign(name, std::move(slot)).second) {
    return absl::InvalidArgumentError(
        absl::StrCat("the exported program makes the value '", name, "' twice; save it again"));
  }
  return absl::OkStatus();
}

// After an operator in place: names of the same tensor stand for the result, other views of its memory are unusable.
void Importer::Rebind(const Slot& written, const Slot& result) {
  for (const std::string& name : names_of_memory_[written.memory]) {
    Slot& slot = frame_->at(name);
    if (slot.identity != written.identity) {
      slot.stale = true;
      continue;
    }
    slot.value = result.value;
    slot.fqn = result.fqn;
    slot.origin = result.origin;
    slot.codes = result.codes;
    slot.dtype = result.dtype;
  }
  const std::vector<std::string> outputs = names_of_memory_[result.memory];
  if (result.memory == written.memory) return;
  for (const std::string& name : outputs) {  // the output is one more name of what was written
    Slot& slot = frame_->at(name);
    slot.memory = written.memory;
    slot.identity = written.identity;
    names_of_memory_[written.memory].push_back(name);
  }
  names_of_memory_.erase(result.memory);
}

absl::StatusOr<graph::ValueId> Importer::Value(const Slot& slot) {
  if (slot.value >= 0) return slot.value;
  return FileConstant(slot);
}

absl::StatusOr<graph::ValueId> Importer::FileConstant(const Slot& slot) {
  if (const auto it = constant_of_.find(slot.fqn); it != constant_of_.end()) return it->second;
  QATGAP_ASSIGN_OR_RETURN(graph::Tensor tensor, weights_.Load(slot.fqn));
  const graph::NodeId id = graph_.AddNode(
      constants_, {.kind = graph::OpKind::kConstant,
                   .inputs = {},
                   .outputs = {},
                   .attributes = graph::ConstantAttributes{.value = std::move(tensor), .qparams = std::nullopt},
                   .module_path = ModuleOf(slot.fqn),
                   .source_op = slot.fqn});
  constant_.resize(graph_.values.size(), true);
  return constant_of_[slot.fqn] = graph_.nodes[static_cast<std::size_t>(id)].outputs[0];
}

}  // namespace qatgap::frontends::pt2
