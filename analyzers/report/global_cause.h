// One reason for many layers: said instead of listing them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analyzers/report/analysis_result.h"

namespace qatgap::report {

// Likely reasons, told apart by which view and which cause is off.
enum class GlobalReason {
  kPairing,  // conversion, and more than half of the weight codes are others: the models are not of one training
  kRange,    // conversion, though the weights agree: output ranges or biases of another calibration
  kTarget,   // a cause of the target: it is too narrow for this network
  kInput,    // layers are right with the trained model's inputs, and wrong from the first one on with the path's own:
             // layout or quantization of the input
  kOther,
};
std::string_view ToString(GlobalReason reason);  // "pairing"

struct GlobalCause {
  GlobalReason reason = GlobalReason::kOther;
  Cause cause = Cause::kTotal;  // the largest one over the layers that are off
  std::int64_t off = 0;         // layers
  std::int64_t layers = 0;      // that were measured
  std::string sentence;         // with the numbers and what to look at
};

// A layer is off where the difference has more than a tenth of the signal's power: SQNR below 10 dB. An 8-bit layer that works
// is far above (docs/report.md).
inline constexpr double kOffDecibel = 10;

// nullopt unless more than half of the layers are off; one bad layer, which drives those behind it off in the accumulated
// view, is none.
std::optional<GlobalCause> GlobalCauseOf(const AnalysisResult& result, const TargetResult& target);

// A sentence for each input of which 5 % of the values or more lie outside of its quantizer's range.
std::vector<std::string> ClippedInputSentences(const std::vector<InputRange>& ranges);

}  // namespace qatgap::report
