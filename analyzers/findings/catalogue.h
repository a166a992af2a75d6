// Every finding there is: what its id, severity and title are. docs/findings.md and a page each describe them.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "analyzers/report/analysis_result.h"

namespace qatgap::findings {

// An id is never given to another finding; the severity is that of all its occurrences.
struct FindingKind {
  std::string_view id;
  report::Severity severity = report::Severity::kInfo;
  std::string_view title;
};

inline constexpr FindingKind kBiasSaturates{"QG001", report::Severity::kError, "Bias saturates"};
inline constexpr FindingKind kBiasNearLimit{"QG002", report::Severity::kWarning, "Bias leaves no headroom"};
inline constexpr FindingKind kMultiplierOfOne{"QG003", report::Severity::kWarning,
                                              "Requantization multiplier is 1 or more"};
inline constexpr FindingKind kDeadChannel{"QG004", report::Severity::kWarning, "Dead channel carries a bias"};
inline constexpr FindingKind kObserverOn{"QG005", report::Severity::kWarning, "Observer left on"};
inline constexpr FindingKind kFakeQuantOff{"QG006", report::Severity::kWarning, "Fake-quant switched off"};
inline constexpr FindingKind kWeightCodesDiffer{"QG007", report::Severity::kInfo,
                                                "Weight codes differ between the two models"};
inline constexpr FindingKind kNarrowerTraining{"QG008", report::Severity::kInfo,
                                               "Trained with a narrower code range than it runs with"};
inline constexpr FindingKind kInputOffGrid{"QG009", report::Severity::kInfo,
                                           "Input is rounded when deployed, not in training"};
inline constexpr FindingKind kSharedBias{"QG010", report::Severity::kWarning,
                                         "One stored bias cannot serve all inputs"};
inline constexpr FindingKind kOutputDiffers{"QG011", report::Severity::kWarning,
                                            "Output quantization differs between the two models"};
inline constexpr FindingKind kBiasCoarse{"QG012", report::Severity::kWarning, "Bias is stored too coarsely"};
inline constexpr FindingKind kBiasDiffers{"QG013", report::Severity::kError, "Bias differs between the two models"};
inline constexpr FindingKind kSumOverflows{"QG014", report::Severity::kError, "Accumulator plus bias can wrap"};
inline constexpr FindingKind kBiasRounding{"QG015", report::Severity::kInfo, "Rounding the bias moves codes"};
inline constexpr FindingKind kTinyWeightScale{"QG016", report::Severity::kWarning,
                                              "Weight scale is at the observer's floor"};
inline constexpr FindingKind kScaleSpread{"QG017", report::Severity::kInfo,
                                          "Weight scales of the channels differ widely"};
inline constexpr FindingKind kMultiplierOutOfRange{"QG018", report::Severity::kError,
                                                   "Requantization multiplier is outside the target's range"};
inline constexpr FindingKind kMultiplierCoarse{"QG019", report::Severity::kWarning,
                                               "Requantization multiplier is too coarse"};
inline constexpr FindingKind kNoPowersOfTwo{"QG020", report::Severity::kError, "Scales are not powers of two"};
inline constexpr FindingKind kInt16Pairs{"QG021", report::Severity::kWarning,
                                         "Int16 pairs can saturate on hosts without VNNI"};
inline constexpr FindingKind kRefused{"QG022", report::Severity::kError, "The target refuses the layer"};
inline constexpr FindingKind kWeightsAdjusted{"QG023", report::Severity::kWarning,
                                              "Target gives up weight precision so that the bias fits"};
inline constexpr FindingKind kConversionDiffers{"QG024", report::Severity::kInfo,
                                                "Constants are not those that convert() makes"};
inline constexpr FindingKind kStoredBiasDiffers{"QG025", report::Severity::kWarning,
                                                "Stored bias is not the rounded bias of the model"};
inline constexpr FindingKind kStoredBiasScale{"QG026", report::Severity::kWarning,
                                              "Stored bias has a scale of its own"};
inline constexpr FindingKind kReferenceRebuilt{"QG027", report::Severity::kInfo,
                                               "Reference was rebuilt from the converted model"};
inline constexpr FindingKind kWeightsNotLowered{"QG028", report::Severity::kInfo,
                                                "Weights could not be lowered as convert() would"};
inline constexpr FindingKind kPairedByOrder{"QG029", report::Severity::kInfo, "Layers were paired in execution order"};
inline constexpr FindingKind kChannelsMoved{"QG030", report::Severity::kError, "Output channels are in another order"};
inline constexpr FindingKind kOtherBatchNorm{"QG031", report::Severity::kWarning,
                                             "Weights have another factor in each channel"};
inline constexpr FindingKind kNotFinite{"QG032", report::Severity::kError, "A constant is not finite"};

// All of the above, by id.
std::span<const FindingKind> Catalogue();

// `target` is empty for findings that depend on none.
report::Finding MakeFinding(const FindingKind& kind, std::string_view layer, std::string_view target = {});

}  // namespace qatgap::findings
