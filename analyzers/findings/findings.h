// Checks that need no data: what the constants of the models and a target already say. docs/findings.md lists them.
#pragma once

#include <vector>

#include "analyzers/graph/graph.h"
#include "analyzers/graph/mac_layers.h"
#include "analyzers/numerics/target.h"
#include "analyzers/report/analysis_result.h"

namespace qatgap::findings {

// One paired layer.
struct LayerFacts {
  const graph::MacLayer& qat;
  const graph::MacLayer& deployed;
  const report::LayerInfo& info;
  bool converted_given = false;
};

// QG005 observer left on, QG006 fake-quant switched off.
void CheckNotices(const graph::Graph& qat, std::vector<report::Finding>& findings);

// QG004 dead channel, QG007 weight codes differ, QG008 narrower activation range in training, QG009 input not
// fake-quantized, QG011 qparams differ, QG013 bias differs.
void CheckPair(const LayerFacts& facts, std::vector<report::Finding>& findings);

// QG001 bias saturates, QG002 no headroom, QG003 multiplier at or above 1, QG012 coarse bias step; `result` holds the
// stored biases of `target` for one reaching input.
void CheckTarget(const LayerFacts& facts, const numerics::TargetDescription& target,
                 const report::LayerResult& result, std::vector<report::Finding>& findings);

// QG010: several input scales reach a layer whose target stores one integer bias.
void CheckReachingInputs(const LayerFacts& facts, const numerics::TargetDescription& target,
                         std::vector<report::Finding>& findings);

}  // namespace qatgap::findings
