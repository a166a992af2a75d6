// What a layer would compute if its bias were kept in another way: measured rows beside the plain one, as integer sums
// that merge by addition. docs/what_if.md defines every row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "analyzers/statistics/difference_statistics.h"

namespace qatgap::report {

// In the order of the report; of two rows that help equally the earlier one is recommended.
enum class WhatIf {
  kPlain,     // the layer as it is deployed: stage `requantized`
  kStorage8,  // the bias stored in so many bits
  kStorage16,
  kStorage24,
  kStorage32,
  kErrorAwareRounding,  // the stored integer whose output error over calibration samples is least
  kZeroPointRounding,   // the bias rounded and stored together with -z_x * sum w
  kFakeQuantizedBias,   // the QAT model trained with the bias that is stored
  kAdjustedWeights,     // weight scales raised until every bias fits
  kExplicitAdd,         // no bias in the layer; a quantized add behind it
};
inline constexpr std::size_t kWhatIfCount = 10;
std::string_view ToString(WhatIf what_if);  // "error_aware_rounding"

struct WhatIfRow {
  WhatIf what_if = WhatIf::kPlain;
  // Why it was not measured: then the statistics are empty; else what to know of it, or empty.
  std::string note = {};
  bool measured = false;
  // Whether it may be recommended where it helps: not the plain row, nor storage no wider than the target's.
  bool is_remedy = false;
  // The integers it stores, one per output channel, where they are its point; else empty.
  std::vector<std::int64_t> stored = {};
  statistics::DifferenceStatistics against_float_bias = {};  // stage `converted`
  statistics::DifferenceStatistics against_fake_quant = {};
  friend bool operator==(const WhatIfRow&, const WhatIfRow&) = default;
};

// One layer under one target for one reaching input; injected view.
struct LayerWhatIfs {
  std::int64_t layer = 0;                 // index into AnalysisResult::layers
  std::int64_t input_index = 0;           // index into LayerInfo::inputs
  std::uint64_t calibration_samples = 0;  // that took this input before measuring began; equal in all units
  std::vector<WhatIfRow> rows;            // the plain one first, each at most once
  friend bool operator==(const LayerWhatIfs&, const LayerWhatIfs&) = default;
};

// FAILED_PRECONDITION with the part that differs where the two are not of one analysis.
absl::Status CheckMergeable(const LayerWhatIfs& total, const LayerWhatIfs& unit);
// Adds the sums of `unit`, which CheckMergeable passed.
void Merge(LayerWhatIfs& total, const LayerWhatIfs& unit);

}  // namespace qatgap::report
