// Checks that need no data: what the constants of the models and a target already say. docs/findings.md lists them.
#pragma once

#include <span>
#include <vector>

#include "absl/status/status.h"
#include "analyzers/graph/graph.h"
#include "analyzers/graph/mac_layers.h"
#include "analyzers/numerics/quant_params.h"
#include "analyzers/numerics/target.h"
#include "analyzers/report/analysis_result.h"

namespace qatgap::findings {

// One paired layer.
struct LayerFacts {
  const graph::MacLayer& qat;
  const graph::MacLayer& deployed;
  const report::LayerInfo& info;
  bool converted_given = false;
  // `deployed` as the target runs it, if it raises weight scales so that the bias fits; CheckTarget alone reads it.
  const graph::MacLayer* adjusted = nullptr;
  // What convert() makes of the QAT layer, where a converted model was given that can be held against it.
  const graph::MacLayer* lowered = nullptr;
  bool weights_lowered = false;  // of known origin; else `lowered` has the QAT layer's
};

// QG005 observer left on, QG006 fake-quant switched off, QG027 reference rebuilt, QG028 weights not lowered, QG029 paired
// by order.
void CheckNotices(std::span<const graph::Notice> notices, std::vector<report::Finding>& findings);

// QG004 dead channel, QG007 weight codes differ, QG008 narrower activation range in training, QG009 input not
// fake-quantized, QG011 qparams differ, QG013 bias differs, QG024 constants are not convert()'s, QG025 and QG026 the stored
// integer bias, QG030 channels in another order, QG031 other factors a channel; or QG032 a constant that is not finite, alone.
void CheckPair(const LayerFacts& facts, std::vector<report::Finding>& findings);

// What the layer's constants say about the target's arithmetic; `result` holds the stored biases and multipliers of
// `target` for one reaching input. The bias: QG001 saturates, QG002 no headroom, QG012 coarse, QG014 its sum with the
// products can wrap, QG015 rounding it moves codes, QG023 weights adjusted to it. Scales and multipliers: QG003 M >= 1,
// QG016 tiny weight scale, QG017 spread, QG018 M becomes 0, QG019 M too coarse. Products: QG021 int16 pairs.
// A channel has at most one of QG001, QG014 and QG002.
void CheckTarget(const LayerFacts& facts, const numerics::TargetDescription& target,
                 const report::LayerResult& result, std::vector<report::Finding>& findings);

// A layer that LayerArithmetic::Create refused for this input: QG018 multiplier out of range, QG020 scales that are no
// powers of two, QG022 any other reason. `status` is not OK.
void CheckRefusal(const LayerFacts& facts, const numerics::TargetDescription& target,
                  const numerics::QuantParams& input, const absl::Status& status,
                  std::vector<report::Finding>& findings);

// QG010: several input scales reach a layer whose target stores one integer bias.
void CheckReachingInputs(const LayerFacts& facts, const numerics::TargetDescription& target,
                         std::vector<report::Finding>& findings);

}  // namespace qatgap::findings
