// Analyses of the demo networks, and edits of their graphs, for the tests of this folder.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "analyzers/attribution/analysis_session.h"
#include "analyzers/report/report.h"

namespace qatgap::attribution {

// Both graphs of tests/models/<folder>, imported once a process.
AnalysisModels DemoModels(const std::string& folder);

// Shipped targets by name; fails the test when one is unknown.
std::vector<numerics::TargetDescription> Targets(const std::vector<std::string>& names);

// Runs images [0, count) in batches of `batch` (of one for a model that branches) through a session.
report::AnalysisResult Analyse(AnalysisModels models, std::vector<numerics::TargetDescription> targets,
                               std::int64_t count = 8, std::int64_t batch = 4);

// A layer's name to its statistics, reaching inputs merged.
std::map<std::string, report::CauseStatistics> ByLayer(const report::AnalysisResult& result, std::size_t target);

// Ids of the findings at or above warning.
std::vector<std::string> Alarms(const report::AnalysisResult& result);

// Constants of the named layer of a converted graph, to be changed in place.
graph::ConstantAttributes& WeightOf(graph::Graph& graph, const std::string& layer);
std::span<float> BiasOf(graph::Graph& graph, const std::string& layer);
numerics::QuantParams& OutputOf(graph::Graph& graph, const std::string& layer);

}  // namespace qatgap::attribution
