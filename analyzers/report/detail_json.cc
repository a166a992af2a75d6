#include "analyzers/report/detail_json.h"

#include <cstdlib>
#include <string>
#include <utility>

#include "analyzers/report/detail_view.h"
#include "analyzers/report/global_cause.h"
#include "analyzers/report/propagation.h"
#include "analyzers/report/what_if_json.h"
#include "analyzers/report/wording.h"

namespace qatgap::report::json_parts {
namespace {

Json Outputs(const AnalysisResult& result, const std::vector<statistics::DifferenceStatistics>& outputs) {
  Json json = Json::array();
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    json.push_back(Statistics(
        outputs[i], i < result.outputs.size() ? ZeroPointOf(result.outputs[i]) : std::optional<std::int64_t>()));
  }
  return json;
}

Json LayerCauses(const LayerView& layer) {
  Json causes = Json::object();
  for (std::size_t cause = 0; cause < kCauseCount; ++cause) {
    const bool measured = static_cast<Cause>(cause) != Cause::kEngineResidual || layer.result->engine_measured;
    causes[std::string(ToString(static_cast<Cause>(cause)))] =
        measured ? Statistics(layer.causes[cause], layer.zero_point()) : Json();
  }
  return {{"layer", layer.info->name},
          {"layer_index", layer.result->layer},
          {"input_index", layer.result->input_index},
          {"samples", layer.result->samples},
          {"causes", std::move(causes)}};
}

}  // namespace

Json Accuracies(const TargetResult& target, std::uint64_t labelled) {
  Json accuracies = Json::array();
  for (const PathAccuracy& accuracy : target.accuracies) {
    Json rate;
    if (labelled > 0) rate = static_cast<double>(accuracy.correct) / static_cast<double>(labelled);
    accuracies.push_back({{"path", ToString(accuracy.path)}, {"correct", accuracy.correct}, {"rate", rate}});
  }
  return accuracies;
}

Json AccuracyDifference(const TargetResult& target, const PathComparison& comparison, std::uint64_t labelled) {
  const auto difference = AccuracyDifferenceOf(target, comparison, labelled);
  if (!difference) return nullptr;
  return {{"value", difference->value},
          {"low", difference->low},
          {"high", difference->high},
          {"p_value", std::strtod(Significant(difference->p_value, 6).c_str(), nullptr)}};
}

Json Samples(const PathComparison& comparison) {
  Json samples = Json::array();
  for (const WorstSample& sample : comparison.worst) {
    Json differences = Json::array();
    for (const CodeDifference& d : sample.differences) {
      differences.push_back(
          {{"output", d.output}, {"element", d.element}, {"reference", d.reference}, {"value", d.value}});
    }
    samples.push_back({{"sample", sample.sample},
                       {"top1_changed", sample.top1_changed},
                       {"reference_answer", sample.reference_answer < 0 ? Json() : Json(sample.reference_answer)},
                       {"answer", sample.answer < 0 ? Json() : Json(sample.answer)},
                       {"changed", sample.changed},
                       {"max_absolute", sample.max_absolute},
                       {"sum_squares", sample.sum_squares},
                       {"differences", std::move(differences)}});
  }
  return samples;
}

Json Comparisons(const AnalysisResult& result, const TargetResult& target, std::uint64_t labelled) {
  Json comparisons = Json::array();
  for (const PathComparison& comparison : target.comparisons) {
    Json layers = Json::array();
    for (std::size_t i = 0; i < comparison.layers.size() && i < result.layers.size(); ++i) {
      Json layer = Statistics(comparison.layers[i], ZeroPointOf(result.layers[i].output));
      layer["layer"] = result.layers[i].name;
      layers.push_back(std::move(layer));
    }
    comparisons.push_back({{"path", ToString(comparison.path)},
                           {"reference", ToString(comparison.reference)},
                           {"top1_changed", comparison.top1_changed},
                           {"lost", comparison.lost},
                           {"gained", comparison.gained},
                           {"accuracy_difference", AccuracyDifference(target, comparison, labelled)},
                           {"outputs", Outputs(result, comparison.outputs)},
                           {"layers", std::move(layers)},
                           {"worst_samples", Samples(comparison)}});
  }
  return comparisons;
}

Json Sensitivities(const AnalysisResult& result, const TargetResult& target) {
  Json sensitivities = Json::array();
  for (const LayerSensitivity& layer : target.sensitivities) {
    sensitivities.push_back({{"layer", result.layers[static_cast<std::size_t>(layer.layer)].name},
                             {"layer_index", layer.layer},
                             {"top1_changed", layer.top1_changed},
                             {"lost", layer.lost},
                             {"gained", layer.gained},
                             {"outputs", Outputs(result, layer.outputs)}});
  }
  return sensitivities;
}

Json Propagated(const TargetResult& target, std::int64_t layer) {
  const std::optional<Propagation> view = PropagationOf(target, layer);
  if (!view) return nullptr;
  return {{"injected", view->injected}, {"accumulated", view->accumulated}, {"propagated", view->propagated()}};
}

Json Global(const AnalysisResult& result, const TargetResult& target) {
  const std::optional<GlobalCause> global = GlobalCauseOf(result, target);
  if (!global) return nullptr;
  return {{"reason", ToString(global->reason)},
          {"cause", global->cause == Cause::kTotal ? Json() : Json(ToString(global->cause))},
          {"off", global->off},
          {"layers", global->layers},
          {"sentence", global->sentence}};
}

Json InputRanges(const std::vector<InputRange>& ranges) {
  Json json = Json::array();
  for (const InputRange& range : ranges) {
    json.push_back({{"name", range.name},
                    {"grid", Grid(range.grid)},
                    {"count", range.count},
                    {"clipped", range.clipped},
                    {"least", Number(static_cast<double>(range.least))},
                    {"greatest", Number(static_cast<double>(range.greatest))}});
  }
  return json;
}

Json OfHeldOut(const AnalysisResult& result) {
  if (result.held_out.targets.empty()) return nullptr;
  Json targets = Json::array();
  for (const TargetResult& target : result.held_out.targets) {
    Json layers = Json::array();
    for (const LayerView& layer : ViewsOf(result, target)) layers.push_back(LayerCauses(layer));
    targets.push_back({{"name", target.name},
                       {"layers", std::move(layers)},
                       {"comparisons", Comparisons(result, target, result.held_out.labelled)},
                       {"accuracies", Accuracies(target, result.held_out.labelled)},
                       {"sensitivities", Sensitivities(result, target)},
                       {"what_ifs", WhatIfsJson(result, target, Statistics)}});
  }
  return {{"samples", result.held_out.samples},
          {"labelled", result.held_out.labelled},
          {"input_ranges", InputRanges(result.held_out.input_ranges)},
          {"targets", std::move(targets)}};
}

}  // namespace qatgap::report::json_parts
