// Defects that are planted in copies of a trained network or of a target: what each is, and where a report must show it.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "analyzers/graph/graph.h"
#include "analyzers/numerics/target.h"
#include "analyzers/report/analysis_result.h"

namespace qatgap::defects {

// What a defect is planted in: copies.
struct Subject {
  graph::Graph qat, converted;
  numerics::TargetDescription target;  // generic-int32
};

// What is held against what.
enum class Base {
  kPair,         // the QAT model against the converted one: a defect of one of them is a difference
  kTwin,         // the converted model against its own fake-quant twin: a defect of the constants is in both
  kQnnpackPair,  // as kPair, a network trained for QNNPACK: the code ranges of both models are one
};
Subject SubjectOf(Base base);

struct Defect {
  std::string name;
  Base base = Base::kPair;
  void (*plant)(Subject&) = nullptr;
  std::string layer;                         // where it is; empty: everywhere
  std::optional<report::Cause> cause = {};   // its own; none: it makes no difference, a finding or an error tells it
  std::vector<std::string> findings = {};    // ids that it adds in that layer, sorted, without those of kConsequences
  std::string says;                          // in the report, or in the error where no sample can be run
  bool global = false;                       // the headline is a global cause
};

// Infos that every change of a converted constant adds.
inline constexpr std::array<const char*, 3> kConsequences = {"QG007", "QG015", "QG024"};

const std::vector<Defect>& AllDefects();

}  // namespace qatgap::defects
