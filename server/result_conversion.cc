#include "server/result_conversion.h"

#include <google/protobuf/arena.h>

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"
#include "server/network_conversion.h"
#include "server/sample_detail_conversion.h"
#include "server/statistics_conversion.h"
#include "server/target_conversion.h"
#include "server/what_if_conversion.h"

namespace qatgap::server {
namespace {

using server::Fill;
using server::FromMessage;
using server::Read;
using server::ToMessage;

absl::Status Malformed(const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("malformed analysis result: ", what));
}

// Every enum of the contract is the C++ enum shifted by one, 0 being "unspecified"; where "none" is the
// unspecified value (activation, engine) the shift is 0.
template <typename To, typename From>
To EnumToProto(From value, int shift) {
  return static_cast<To>(static_cast<int>(value) + shift);
}

template <typename To, typename From>
absl::StatusOr<To> EnumFromProto(From value, int shift, To last, const char* field) {
  const int index = static_cast<int>(value) - shift;
  if (index < 0 || index > static_cast<int>(last)) {
    return Malformed(absl::StrCat(field, " is ", static_cast<int>(value)));
  }
  return static_cast<To>(index);
}

static_assert(static_cast<int>(v1::CAUSE_TOTAL) == static_cast<int>(report::kCauseCount));
static_assert(static_cast<int>(v1::PATH_ENGINE) == static_cast<int>(report::Path::kEngine) + 1);
static_assert(static_cast<int>(v1::SEVERITY_ERROR) ==
              static_cast<int>(report::Severity::kError) + 1);
static_assert(static_cast<int>(v1::ACTIVATION_RELU6) ==
              static_cast<int>(numerics::Activation::kRelu6));
static_assert(static_cast<int>(v1::BIAS_MODE_INTEGER) ==
              static_cast<int>(numerics::BiasMode::kInteger) + 1);
static_assert(static_cast<int>(v1::ENGINE_ONEDNN) == static_cast<int>(numerics::Engine::kOnednn));
static_assert(static_cast<int>(v1::EVIDENCE_KIND_UNVERIFIED) ==
              static_cast<int>(numerics::EvidenceKind::kUnverified) + 1);

template <typename Field, typename Values>
void Assign(Field& field, const Values& values) {
  for (const auto& value : values) *field.Add() = value;
}

v1::LayerInfo ToMessage(const report::LayerInfo& layer) {
  v1::LayerInfo message;
  message.set_name(layer.name);
  message.set_kind(layer.kind);
  message.set_channels(layer.channels);
  Assign(*message.mutable_weight_shape(), layer.weight_shape);
  message.set_activation(EnumToProto<v1::Activation>(layer.activation, 0));
  *message.mutable_output() = ToMessage(layer.output);
  for (const auto& input : layer.inputs) *message.add_inputs() = ToMessage(input);
  message.set_input_off_grid(layer.input_off_grid);
  message.set_weights(layer.weights);
  message.set_weight_codes_changed(layer.weight_codes_changed);
  message.set_source_line(layer.source_line);
  message.set_module_stack(layer.module_stack);
  return message;
}

absl::StatusOr<report::LayerInfo> FromMessage(const v1::LayerInfo& message) {
  report::LayerInfo layer;
  layer.name = message.name();
  layer.kind = message.kind();
  layer.channels = message.channels();
  layer.weight_shape = {message.weight_shape().begin(), message.weight_shape().end()};
  QATGAP_ASSIGN_OR_RETURN(layer.activation, EnumFromProto(message.activation(), 0,
                                                          numerics::Activation::kRelu6,
                                                          "LayerInfo.activation"));
  layer.output = FromMessage(message.output());
  for (const auto& input : message.inputs()) layer.inputs.push_back(FromMessage(input));
  layer.input_off_grid = message.input_off_grid();
  layer.weights = message.weights();
  layer.weight_codes_changed = message.weight_codes_changed();
  layer.source_line = message.source_line();
  layer.module_stack = message.module_stack();
  return layer;
}

void Fill(const report::ChannelResult& channel, v1::ChannelResult& message) {
  v1::StoredBias& bias = *message.mutable_bias();
  bias.set_real(channel.bias.real);
  bias.set_scale(channel.bias.scale);
  bias.set_rounded(channel.bias.rounded);
  bias.set_stored(channel.bias.stored);
  bias.set_saturated(channel.bias.saturated);
  bias.set_residual_lsb(channel.bias.residual_lsb);
  message.set_multiplier(channel.multiplier);
  FillAll(channel.causes, *message.mutable_causes());
}

absl::Status Read(const v1::ChannelResult& message, report::ChannelResult& channel) {
  if (message.causes_size() != static_cast<int>(report::kCauseCount)) {
    return Malformed(absl::StrCat("a channel has ", message.causes_size(), " causes"));
  }
  channel.bias = {.real = message.bias().real(),
                  .scale = message.bias().scale(),
                  .rounded = message.bias().rounded(),
                  .stored = message.bias().stored(),
                  .saturated = message.bias().saturated(),
                  .residual_lsb = message.bias().residual_lsb()};
  channel.multiplier = message.multiplier();
  for (std::size_t i = 0; i < report::kCauseCount; ++i) {
    QATGAP_RETURN_IF_ERROR(server::Read(message.causes(static_cast<int>(i)), channel.causes[i]));
  }
  return absl::OkStatus();
}

void Fill(const report::LayerResult& layer, v1::LayerResult& message) {
  message.set_layer(layer.layer);
  message.set_input_index(layer.input_index);
  message.set_samples(layer.samples);
  message.set_engine_measured(layer.engine_measured);
  message.set_engine_note(layer.engine_note);
  for (const auto& channel : layer.channels) Fill(channel, *message.add_channels());
}

absl::StatusOr<report::LayerResult> FromMessage(const v1::LayerResult& message,
                                                std::span<const report::LayerInfo> layers) {
  if (message.layer() < 0 || static_cast<std::size_t>(message.layer()) >= layers.size()) {
    return Malformed(absl::StrCat("LayerResult.layer is ", message.layer(), " of ", layers.size()));
  }
  const auto inputs = layers[static_cast<std::size_t>(message.layer())].inputs.size();
  // A layer off the grid has no input qparams and still one reaching input.
  const std::size_t reaching = inputs == 0 ? 1 : inputs;
  if (message.input_index() < 0 || static_cast<std::size_t>(message.input_index()) >= reaching) {
    return Malformed(
        absl::StrCat("LayerResult.input_index is ", message.input_index(), " of ", reaching));
  }
  report::LayerResult layer;
  layer.layer = message.layer();
  layer.input_index = message.input_index();
  layer.samples = message.samples();
  layer.engine_measured = message.engine_measured();
  layer.engine_note = message.engine_note();
  layer.channels.reserve(static_cast<std::size_t>(message.channels_size()));
  for (const auto& channel : message.channels()) {
    QATGAP_RETURN_IF_ERROR(Read(channel, layer.channels.emplace_back()));
  }
  return layer;
}

void Fill(const numerics::Evidence& evidence, v1::Evidence& message) {
  message.set_kind(EnumToProto<v1::EvidenceKind>(evidence.kind, 1));
  message.set_detail(evidence.detail);
}

void Fill(const report::TargetResult& target, v1::TargetResult& message) {
  message.set_name(target.name);
  message.set_title(target.title);
  message.set_digest(target.digest);
  message.set_bias_mode(EnumToProto<v1::BiasMode>(target.bias_mode, 1));
  message.set_engine(EnumToProto<v1::Engine>(target.engine, 0));
  Fill(target.evidence, *message.mutable_evidence());
  for (const auto& layer : target.layers) Fill(layer, *message.add_layers());
  for (const auto& comparison : target.comparisons) {
    v1::PathComparison& part = *message.add_comparisons();
    part.set_path(EnumToProto<v1::Path>(comparison.path, 1));
    part.set_reference(EnumToProto<v1::Path>(comparison.reference, 1));
    FillAll(comparison.outputs, *part.mutable_outputs());
    part.set_top1_changed(comparison.top1_changed);
    FillAll(comparison.layers, *part.mutable_layers());
    part.set_lost(comparison.lost);
    part.set_gained(comparison.gained);
    for (const report::WorstSample& sample : comparison.worst) Fill(sample, *part.add_worst());
  }
  for (const auto& accuracy : target.accuracies) {
    v1::PathAccuracy& part = *message.add_accuracies();
    part.set_path(EnumToProto<v1::Path>(accuracy.path, 1));
    part.set_correct(accuracy.correct);
  }
  FillWhatIfs(target.what_ifs, *message.mutable_what_ifs());
  for (const report::LayerSensitivity& layer : target.sensitivities) Fill(layer, *message.add_sensitivities());
}

absl::StatusOr<report::TargetResult> FromMessage(const v1::TargetResult& message,
                                                 std::span<const report::LayerInfo> layers) {
  report::TargetResult target;
  target.name = message.name();
  target.title = message.title();
  target.digest = message.digest();
  QATGAP_ASSIGN_OR_RETURN(target.bias_mode,
                          EnumFromProto(message.bias_mode(), 1, numerics::BiasMode::kInteger,
                                        "TargetResult.bias_mode"));
  QATGAP_ASSIGN_OR_RETURN(target.engine,
                          EnumFromProto(message.engine(), 0, numerics::Engine::kOnednn,
                                        "TargetResult.engine"));
  QATGAP_ASSIGN_OR_RETURN(target.evidence.kind,
                          EnumFromProto(message.evidence().kind(), 1,
                                        numerics::EvidenceKind::kUnverified, "Evidence.kind"));
  target.evidence.detail = message.evidence().detail();
  for (const auto& part : message.layers()) {
    QATGAP_ASSIGN_OR_RETURN(report::LayerResult layer, FromMessage(part, layers));
    target.layers.push_back(std::move(layer));
  }
  for (const auto& part : message.comparisons()) {
    report::PathComparison& comparison = target.comparisons.emplace_back();
    QATGAP_ASSIGN_OR_RETURN(comparison.path, EnumFromProto(part.path(), 1, report::Path::kEngine,
                                                           "PathComparison.path"));
    QATGAP_ASSIGN_OR_RETURN(comparison.reference,
                            EnumFromProto(part.reference(), 1, report::Path::kEngine,
                                          "PathComparison.reference"));
    QATGAP_RETURN_IF_ERROR(ReadAll(part.outputs(), comparison.outputs));
    comparison.top1_changed = part.top1_changed();
    QATGAP_RETURN_IF_ERROR(ReadAll(part.layers(), comparison.layers));
    comparison.lost = part.lost();
    comparison.gained = part.gained();
    for (const v1::WorstSample& sample : part.worst()) comparison.worst.push_back(FromMessage(sample));
  }
  for (const auto& part : message.accuracies()) {
    report::PathAccuracy& accuracy = target.accuracies.emplace_back();
    QATGAP_ASSIGN_OR_RETURN(accuracy.path, EnumFromProto(part.path(), 1, report::Path::kEngine,
                                                         "PathAccuracy.path"));
    accuracy.correct = part.correct();
  }
  QATGAP_RETURN_IF_ERROR(ReadWhatIfs(message.what_ifs(), layers, target.what_ifs));
  for (const v1::LayerSensitivity& part : message.sensitivities()) {
    QATGAP_RETURN_IF_ERROR(Read(part, layers.size(), target.sensitivities.emplace_back()));
  }
  return target;
}

absl::Status ReadTargets(const google::protobuf::RepeatedPtrField<v1::TargetResult>& messages,
                         std::span<const report::LayerInfo> layers, std::vector<report::TargetResult>& targets) {
  for (const auto& part : messages) {
    QATGAP_ASSIGN_OR_RETURN(report::TargetResult target, FromMessage(part, layers));
    targets.push_back(std::move(target));
  }
  return absl::OkStatus();
}

void Fill(const report::HeldOut& held_out, v1::HeldOut& message) {
  message.set_samples(held_out.samples);
  message.set_labelled(held_out.labelled);
  for (const report::InputRange& range : held_out.input_ranges) Fill(range, *message.add_input_ranges());
  for (const report::TargetResult& target : held_out.targets) Fill(target, *message.add_targets());
}

absl::Status Read(const v1::HeldOut& message, std::span<const report::LayerInfo> layers, report::HeldOut& held_out) {
  held_out.samples = message.samples();
  held_out.labelled = message.labelled();
  for (const v1::InputRange& range : message.input_ranges()) held_out.input_ranges.push_back(FromMessage(range));
  return ReadTargets(message.targets(), layers, held_out.targets);
}

}  // namespace

v1::AnalysisResult ToProto(const report::AnalysisResult& result) {
  v1::AnalysisResult message;
  v1::Environment& environment = *message.mutable_environment();
  environment.set_tool_version(result.environment.tool_version);
  environment.set_libtorch_version(result.environment.libtorch_version);
  Assign(*environment.mutable_cpu_features(), result.environment.cpu_features);
  Assign(*environment.mutable_engines(), result.environment.engines);
  environment.set_batch_size(result.environment.batch_size);
  environment.set_threads(result.environment.threads);
  message.set_qat_format(result.qat_format);
  message.set_converted_format(result.converted_format);
  Assign(*message.mutable_notes(), result.notes);
  message.set_converted_given(result.converted_given);
  message.set_mac_layers(result.mac_layers);
  for (const auto& layer : result.layers) *message.add_layers() = ToMessage(layer);
  for (const auto& target : result.targets) Fill(target, *message.add_targets());
  for (const auto& finding : result.findings) {
    v1::Finding& part = *message.add_findings();
    part.set_id(finding.id);
    part.set_severity(EnumToProto<v1::Severity>(finding.severity, 1));
    part.set_title(finding.title);
    part.set_layer(finding.layer);
    part.set_target(finding.target);
    Assign(*part.mutable_channels(), finding.channels);
    part.set_detail(finding.detail);
    part.set_advice(finding.advice);
  }
  for (const auto& unmeasured : result.unmeasured) {
    v1::Unmeasured& part = *message.add_unmeasured();
    part.set_name(unmeasured.name);
    part.set_what(unmeasured.what);
    part.set_reason(unmeasured.reason);
    part.set_is_mac_layer(unmeasured.is_mac_layer);
  }
  message.set_samples(result.samples);
  message.set_labelled(result.labelled);
  for (const auto& output : result.outputs) *message.add_outputs() = ToMessage(output);
  Fill(result.network, *message.mutable_network());
  message.set_worst_samples(result.worst_samples);
  for (const report::InputRange& range : result.input_ranges) Fill(range, *message.add_input_ranges());
  if (!result.held_out.targets.empty()) Fill(result.held_out, *message.mutable_held_out());
  return message;
}

absl::StatusOr<report::AnalysisResult> FromProto(const v1::AnalysisResult& message) {
  report::AnalysisResult result;
  const v1::Environment& e = message.environment();
  result.environment = {e.tool_version(), e.libtorch_version(),
                        {e.cpu_features().begin(), e.cpu_features().end()},
                        {e.engines().begin(), e.engines().end()}, e.batch_size(), e.threads()};
  result.qat_format = message.qat_format();
  result.converted_format = message.converted_format();
  result.notes = {message.notes().begin(), message.notes().end()};
  result.converted_given = message.converted_given();
  result.mac_layers = message.mac_layers();
  for (const auto& part : message.layers()) {
    QATGAP_ASSIGN_OR_RETURN(report::LayerInfo layer, FromMessage(part));
    result.layers.push_back(std::move(layer));
  }
  QATGAP_RETURN_IF_ERROR(ReadTargets(message.targets(), result.layers, result.targets));
  for (const auto& part : message.findings()) {
    QATGAP_ASSIGN_OR_RETURN(
        const report::Severity severity,
        EnumFromProto(part.severity(), 1, report::Severity::kError, "Finding.severity"));
    result.findings.push_back({.id = part.id(),
                               .severity = severity,
                               .title = part.title(),
                               .layer = part.layer(),
                               .target = part.target(),
                               .channels = {part.channels().begin(), part.channels().end()},
                               .detail = part.detail(),
                               .advice = part.advice()});
  }
  for (const auto& part : message.unmeasured()) {
    result.unmeasured.push_back({part.name(), part.what(), part.reason(), part.is_mac_layer()});
  }
  result.samples = message.samples();
  result.labelled = message.labelled();
  for (const auto& output : message.outputs()) result.outputs.push_back(FromMessage(output));
  QATGAP_ASSIGN_OR_RETURN(result.network, ReadNetwork(message.network(), result.layers.size()));
  result.worst_samples = message.worst_samples();
  for (const v1::InputRange& range : message.input_ranges()) result.input_ranges.push_back(FromMessage(range));
  QATGAP_RETURN_IF_ERROR(Read(message.held_out(), result.layers, result.held_out));
  return result;
}

std::string SerializeResult(const report::AnalysisResult& r) { return ToProto(r).SerializeAsString(); }

absl::StatusOr<report::AnalysisResult> ParseResult(const std::string& bytes) {
  // Half a million messages of statistics in a large result: freed as one.
  google::protobuf::Arena arena;
  auto& message = *google::protobuf::Arena::CreateMessage<v1::AnalysisResult>(&arena);
  if (!message.ParseFromString(bytes)) return Malformed("the bytes are no AnalysisResult");
  return FromProto(message);
}

v1::LayerSummary MakeLayerSummary(const report::AnalysisResult& result,
                                  const report::TargetResult& target,
                                  const report::LayerResult& layer) {
  v1::LayerSummary summary;
  summary.set_target(target.name);
  *summary.mutable_info() = ToMessage(result.layers[static_cast<std::size_t>(layer.layer)]);
  summary.set_input_index(layer.input_index);
  summary.set_samples(layer.samples);
  FillAll(report::MergeChannels(layer), *summary.mutable_causes());
  summary.set_engine_measured(layer.engine_measured);
  summary.set_engine_note(layer.engine_note);
  return summary;
}

v1::Target ToProto(const numerics::TargetDescription& target) {
  v1::Target message;
  message.set_name(target.name);
  message.set_title(target.title);
  message.set_summary(target.summary);
  message.set_source(target.source);
  Fill(target.evidence, *message.mutable_evidence());
  if (target.delegates.empty()) message.set_bias_mode(EnumToProto<v1::BiasMode>(target.bias.mode, 1));
  message.set_engine(EnumToProto<v1::Engine>(target.engine, 0));
  message.set_arithmetic_digest(numerics::ArithmeticDigest(target));
  message.set_description(numerics::Describe(target));
  *message.mutable_rules() = RulesToProto(target);
  return message;
}

}  // namespace qatgap::server
