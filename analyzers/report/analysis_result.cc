#include "analyzers/report/analysis_result.h"

#include <algorithm>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "analyzers/status/status_macros.h"
#include "analyzers/status/string_view.h"

namespace qatgap::report {
namespace {

absl::Status Differs(std::string_view what, std::string_view one, std::string_view other) {
  return absl::FailedPreconditionError(
      absl::StrCat("cannot merge units of two different analyses: ", Text(what), " is \"",
                   Text(one), "\" in one unit and \"", Text(other),
                   "\" in another; run all units with the same models, options and kind of host"));
}

absl::Status Differs(std::string_view what) {
  return absl::FailedPreconditionError(
      absl::StrCat("cannot merge units of two different analyses: ", Text(what),
                   " differ between units; run all units with the same models, options and kind "
                   "of host"));
}

template <typename T>
absl::Status CheckValue(std::string_view what, const T& one, const T& other) {
  if (one == other) return absl::OkStatus();
  return Differs(what, absl::StrCat(one), absl::StrCat(other));
}

absl::Status CheckList(std::string_view what, const std::vector<std::string>& one,
                       const std::vector<std::string>& other) {
  if (one == other) return absl::OkStatus();
  return Differs(what, absl::StrJoin(one, ", "), absl::StrJoin(other, ", "));
}

auto Key(const LayerResult& r) { return std::pair(r.layer, r.input_index); }
auto Key(const PathComparison& r) { return std::pair(r.path, r.reference); }
auto Key(const PathAccuracy& r) { return r.path; }
auto Key(const LayerWhatIfs& r) { return std::pair(r.layer, r.input_index); }
auto Key(const LayerSensitivity& r) { return r.layer; }
auto Key(const Finding& r) {
  // The most severe first, as readers want them.
  return std::tuple(-static_cast<int>(r.severity), r.id, r.layer, r.target, r.channels, r.title,
                    r.detail, r.advice);
}
auto Key(const Unmeasured& r) { return std::tuple(!r.is_mac_layer, r.name, r.what, r.reason); }

template <typename T>
void SortByKey(std::vector<T>& values) {
  std::sort(values.begin(), values.end(), [](const T& a, const T& b) { return Key(a) < Key(b); });
}

template <typename T>
const T* Find(const std::vector<T>& values, const T& like) {
  const auto found = std::find_if(values.begin(), values.end(),
                                  [&](const T& value) { return Key(value) == Key(like); });
  return found == values.end() ? nullptr : &*found;
}

absl::Status CheckEnvironment(const Environment& one, const Environment& other) {
  QATGAP_RETURN_IF_ERROR(CheckValue("tool version", one.tool_version, other.tool_version));
  QATGAP_RETURN_IF_ERROR(
      CheckValue("LibTorch version", one.libtorch_version, other.libtorch_version));
  QATGAP_RETURN_IF_ERROR(CheckList("CPU features", one.cpu_features, other.cpu_features));
  QATGAP_RETURN_IF_ERROR(CheckList("engines", one.engines, other.engines));
  QATGAP_RETURN_IF_ERROR(CheckValue("batch size", one.batch_size, other.batch_size));
  return CheckValue("threads", one.threads, other.threads);
}

absl::Status CheckLayerResult(const std::string& where, const LayerResult& one,
                              const LayerResult& other) {
  QATGAP_RETURN_IF_ERROR(CheckValue(absl::StrCat("number of channels of ", where),
                                    one.channels.size(), other.channels.size()));
  for (std::size_t c = 0; c < one.channels.size(); ++c) {
    if (one.channels[c].bias != other.channels[c].bias) {
      return Differs(absl::StrCat("the stored biases of ", where, ", channel ", c, ","));
    }
    QATGAP_RETURN_IF_ERROR(CheckValue(absl::StrCat("multiplier of ", where, ", channel ", c),
                                      one.channels[c].multiplier, other.channels[c].multiplier));
  }
  return absl::OkStatus();
}

absl::Status CheckTarget(const AnalysisResult& analysis, const TargetResult& one,
                         const TargetResult& other) {
  const std::string target = absl::StrCat("target ", one.name);
  QATGAP_RETURN_IF_ERROR(CheckValue("target", one.name, other.name));
  QATGAP_RETURN_IF_ERROR(CheckValue(absl::StrCat("digest of ", target), one.digest, other.digest));
  if (std::tie(one.title, one.bias_mode, one.engine, one.evidence.kind, one.evidence.detail) !=
      std::tie(other.title, other.bias_mode, other.engine, other.evidence.kind,
               other.evidence.detail)) {
    return Differs(absl::StrCat("the title, bias mode, engine or evidence of ", target));
  }
  for (const LayerResult& layer : other.layers) {
    const bool known =
        layer.layer >= 0 && layer.layer < static_cast<std::int64_t>(analysis.layers.size());
    if (!known) {
      return Differs(absl::StrCat("the layers of ", target, " (index ", layer.layer, ")"));
    }
    if (const LayerResult* same = Find(one.layers, layer)) {
      const std::string where = absl::StrCat(
          "layer ", analysis.layers[static_cast<std::size_t>(layer.layer)].name, " under ", target);
      QATGAP_RETURN_IF_ERROR(CheckLayerResult(where, *same, layer));
    }
  }
  for (const LayerSensitivity& sensitivity : other.sensitivities) {
    if (const LayerSensitivity* same = Find(one.sensitivities, sensitivity)) {
      QATGAP_RETURN_IF_ERROR(CheckValue(absl::StrCat("number of outputs of sensitivities under ", target),
                                        same->outputs.size(), sensitivity.outputs.size()));
    }
  }
  for (const LayerWhatIfs& what_ifs : other.what_ifs) {
    if (const LayerWhatIfs* same = Find(one.what_ifs, what_ifs)) {
      QATGAP_RETURN_IF_ERROR(CheckMergeable(*same, what_ifs));
    }
  }
  for (const PathComparison& comparison : other.comparisons) {
    if (const PathComparison* same = Find(one.comparisons, comparison)) {
      const std::string where =
          absl::StrCat(Text(ToString(comparison.path)), " against ",
                       Text(ToString(comparison.reference)), " under ", target);
      QATGAP_RETURN_IF_ERROR(CheckValue(absl::StrCat("number of outputs of ", where),
                                        same->outputs.size(), comparison.outputs.size()));
      QATGAP_RETURN_IF_ERROR(CheckValue(absl::StrCat("number of layers of ", where),
                                        same->layers.size(), comparison.layers.size()));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTargets(const AnalysisResult& analysis, const std::vector<TargetResult>& one,
                          const std::vector<TargetResult>& other) {
  QATGAP_RETURN_IF_ERROR(CheckValue("number of targets", one.size(), other.size()));
  for (std::size_t i = 0; i < one.size(); ++i) QATGAP_RETURN_IF_ERROR(CheckTarget(analysis, one[i], other[i]));
  return absl::OkStatus();
}

absl::Status CheckRanges(const std::vector<InputRange>& one, const std::vector<InputRange>& other) {
  const bool same = std::equal(one.begin(), one.end(), other.begin(), other.end(), [](const auto& a, const auto& b) {
    return a.name == b.name && a.grid == b.grid;
  });
  return same ? absl::OkStatus() : Differs("the grids of the model's inputs");
}

absl::Status CheckStatic(const AnalysisResult& total, const AnalysisResult& unit) {
  QATGAP_RETURN_IF_ERROR(CheckEnvironment(total.environment, unit.environment));
  QATGAP_RETURN_IF_ERROR(CheckValue("model format", total.qat_format, unit.qat_format));
  QATGAP_RETURN_IF_ERROR(CheckValue("converted model's format", total.converted_format, unit.converted_format));
  if (total.notes != unit.notes) return Differs("the notes on the models");
  QATGAP_RETURN_IF_ERROR(
      CheckValue("converted model given", total.converted_given, unit.converted_given));
  QATGAP_RETURN_IF_ERROR(CheckValue("number of MAC layers", total.mac_layers, unit.mac_layers));
  QATGAP_RETURN_IF_ERROR(
      CheckValue("number of analysed layers", total.layers.size(), unit.layers.size()));
  for (std::size_t i = 0; i < total.layers.size(); ++i) {
    QATGAP_RETURN_IF_ERROR(CheckValue("layer name", total.layers[i].name, unit.layers[i].name));
    if (total.layers[i] != unit.layers[i]) {
      return Differs(absl::StrCat("the static facts of layer ", total.layers[i].name));
    }
  }
  if (total.network != unit.network) return Differs("the network graphs");
  if (total.outputs != unit.outputs) return Differs("the grids of the model's outputs");
  std::vector<Finding> findings = total.findings;
  std::vector<Finding> other_findings = unit.findings;
  SortByKey(findings);
  SortByKey(other_findings);
  if (findings != other_findings) return Differs("the findings");
  QATGAP_RETURN_IF_ERROR(CheckValue("number of worst samples", total.worst_samples, unit.worst_samples));
  QATGAP_RETURN_IF_ERROR(CheckRanges(total.input_ranges, unit.input_ranges));
  QATGAP_RETURN_IF_ERROR(CheckTargets(total, total.targets, unit.targets));
  QATGAP_RETURN_IF_ERROR(CheckRanges(total.held_out.input_ranges, unit.held_out.input_ranges));
  return CheckTargets(total, total.held_out.targets, unit.held_out.targets);
}

std::string UniteNotes(const std::string& one, const std::string& other) {
  if (one == other) return one;
  std::set<std::string> notes = absl::StrSplit(one, '\n', absl::SkipEmpty());
  const std::set<std::string> more = absl::StrSplit(other, '\n', absl::SkipEmpty());
  notes.insert(more.begin(), more.end());
  return absl::StrJoin(notes, "\n");
}

void Add(LayerResult& total, const LayerResult& unit) {
  total.samples += unit.samples;
  total.engine_measured = total.engine_measured || unit.engine_measured;
  total.engine_note = UniteNotes(total.engine_note, unit.engine_note);
  for (std::size_t c = 0; c < total.channels.size(); ++c) {
    for (std::size_t cause = 0; cause < kCauseCount; ++cause) {
      total.channels[c].causes[cause].Merge(unit.channels[c].causes[cause]);
    }
  }
}

void Add(LayerSensitivity& total, const LayerSensitivity& unit) {
  for (std::size_t i = 0; i < total.outputs.size(); ++i) total.outputs[i].Merge(unit.outputs[i]);
  total.top1_changed += unit.top1_changed;
  total.lost += unit.lost;
  total.gained += unit.gained;
}

void Add(PathAccuracy& total, const PathAccuracy& unit) { total.correct += unit.correct; }

void Add(LayerWhatIfs& total, const LayerWhatIfs& unit) { Merge(total, unit); }

template <typename T, typename Adder>
void Unite(std::vector<T>& total, const std::vector<T>& unit, Adder add) {
  for (const T& value : unit) {
    const auto same = std::find_if(total.begin(), total.end(),
                                   [&](const T& other) { return Key(other) == Key(value); });
    if (same == total.end()) {
      total.push_back(value);
    } else {
      add(*same, value);
    }
  }
}

template <typename T>
void Unite(std::vector<T>& total, const std::vector<T>& unit) {
  Unite(total, unit, [](T& one, const T& other) { Add(one, other); });
}

void UniteTargets(std::vector<TargetResult>& total, const std::vector<TargetResult>& unit, std::int64_t worst_samples) {
  for (std::size_t i = 0; i < total.size(); ++i) {
    Unite(total[i].layers, unit[i].layers);
    Unite(total[i].comparisons, unit[i].comparisons, [worst_samples](PathComparison& one, const PathComparison& other) {
      Merge(one, other, worst_samples);
    });
    Unite(total[i].accuracies, unit[i].accuracies);
    Unite(total[i].what_ifs, unit[i].what_ifs);
    Unite(total[i].sensitivities, unit[i].sensitivities);
  }
}

void UniteRanges(std::vector<InputRange>& total, const std::vector<InputRange>& unit) {
  for (std::size_t i = 0; i < total.size(); ++i) Merge(total[i], unit[i]);
}

void SortTargets(std::vector<TargetResult>& targets) {
  for (TargetResult& target : targets) {
    SortByKey(target.layers);
    SortByKey(target.comparisons);
    SortByKey(target.accuracies);
    SortByKey(target.what_ifs);
    SortByKey(target.sensitivities);
  }
}

}  // namespace

std::string_view ToString(Cause cause) {
  switch (cause) {
    case Cause::kFloatArithmetic:
      return "float_arithmetic";
    case Cause::kConversion:
      return "conversion";
    case Cause::kBiasRounding:
      return "bias_rounding";
    case Cause::kBiasSaturation:
      return "bias_saturation";
    case Cause::kAccumulator:
      return "accumulator";
    case Cause::kRequantization:
      return "requantization";
    case Cause::kEngineResidual:
      return "engine_residual";
    case Cause::kTotal:
      return "total";
  }
  return "unknown";
}

std::string_view ToString(Path path) {
  switch (path) {
    case Path::kFakeQuant:
      return "fake_quant";
    case Path::kFloatBias:
      return "float_bias";
    case Path::kQuantizedBias:
      return "quantized_bias";
    case Path::kTarget:
      return "target";
    case Path::kEngine:
      return "engine";
  }
  return "unknown";
}

std::string_view ToString(Severity severity) {
  switch (severity) {
    case Severity::kInfo:
      return "info";
    case Severity::kWarning:
      return "warning";
    case Severity::kError:
      return "error";
  }
  return "unknown";
}

bool operator==(const TargetResult& a, const TargetResult& b) {
  return std::tie(a.name, a.title, a.digest, a.bias_mode, a.engine, a.evidence.kind,
                  a.evidence.detail, a.layers, a.comparisons, a.accuracies, a.what_ifs, a.sensitivities) ==
         std::tie(b.name, b.title, b.digest, b.bias_mode, b.engine, b.evidence.kind,
                  b.evidence.detail, b.layers, b.comparisons, b.accuracies, b.what_ifs, b.sensitivities);
}

void Canonicalize(AnalysisResult& result) {
  SortTargets(result.targets);
  SortTargets(result.held_out.targets);
  SortByKey(result.findings);
  SortByKey(result.unmeasured);
  result.unmeasured.erase(std::unique(result.unmeasured.begin(), result.unmeasured.end()),
                          result.unmeasured.end());
}

void Merge(PathComparison& total, const PathComparison& unit, std::int64_t worst_samples) {
  total.top1_changed += unit.top1_changed;
  total.lost += unit.lost;
  total.gained += unit.gained;
  for (std::size_t i = 0; i < total.outputs.size(); ++i) total.outputs[i].Merge(unit.outputs[i]);
  for (std::size_t i = 0; i < total.layers.size(); ++i) total.layers[i].Merge(unit.layers[i]);
  total.worst.insert(total.worst.end(), unit.worst.begin(), unit.worst.end());
  KeepWorst(total.worst, static_cast<std::size_t>(worst_samples));
}

absl::Status MergeInto(AnalysisResult& total, const AnalysisResult& unit) {
  if (total == AnalysisResult{}) {
    total = unit;
    Canonicalize(total);
    return absl::OkStatus();
  }
  if (unit == AnalysisResult{}) return absl::OkStatus();
  QATGAP_RETURN_IF_ERROR(CheckStatic(total, unit));
  UniteTargets(total.targets, unit.targets, total.worst_samples);
  UniteRanges(total.input_ranges, unit.input_ranges);
  UniteTargets(total.held_out.targets, unit.held_out.targets, total.worst_samples);
  UniteRanges(total.held_out.input_ranges, unit.held_out.input_ranges);
  total.held_out.samples += unit.held_out.samples;
  total.held_out.labelled += unit.held_out.labelled;
  total.unmeasured.insert(total.unmeasured.end(), unit.unmeasured.begin(), unit.unmeasured.end());
  total.samples += unit.samples;
  total.labelled += unit.labelled;
  Canonicalize(total);
  return absl::OkStatus();
}

Coverage CoverageOf(const AnalysisResult& result, const TargetResult& target) {
  std::set<std::string_view> unmeasured;
  for (const Unmeasured& entry : result.unmeasured) {
    if (entry.is_mac_layer) unmeasured.insert(entry.name);
  }
  std::set<std::int64_t> reached;
  for (const LayerResult& layer : target.layers) {
    if (layer.samples > 0) reached.insert(layer.layer);
  }
  Coverage coverage{.analysed = 0, .mac_layers = result.mac_layers};
  for (const std::int64_t layer : reached) {
    if (layer < 0 || layer >= static_cast<std::int64_t>(result.layers.size())) continue;
    if (!unmeasured.contains(result.layers[static_cast<std::size_t>(layer)].name)) {
      ++coverage.analysed;
    }
  }
  return coverage;
}

CauseStatistics MergeChannels(const LayerResult& layer) {
  CauseStatistics merged;
  for (const ChannelResult& channel : layer.channels) {
    for (std::size_t cause = 0; cause < kCauseCount; ++cause) {
      merged[cause].Merge(channel.causes[cause]);
    }
  }
  return merged;
}

}  // namespace qatgap::report
