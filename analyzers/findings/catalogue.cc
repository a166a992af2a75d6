#include "analyzers/findings/catalogue.h"

#include <array>

namespace qatgap::findings {

std::span<const FindingKind> Catalogue() {
  static constexpr std::array kAll = {
      kBiasSaturates,   kBiasNearLimit,     kMultiplierOfOne,  kDeadChannel,
      kObserverOn,      kFakeQuantOff,      kWeightCodesDiffer, kNarrowerTraining,
      kInputOffGrid,    kSharedBias,        kOutputDiffers,    kBiasCoarse,
      kBiasDiffers,     kSumOverflows,      kBiasRounding,     kTinyWeightScale,
      kScaleSpread,     kMultiplierOutOfRange, kMultiplierCoarse, kNoPowersOfTwo,
      kInt16Pairs,      kRefused,           kWeightsAdjusted,  kConversionDiffers,
      kStoredBiasDiffers, kStoredBiasScale, kReferenceRebuilt, kWeightsNotLowered,
      kPairedByOrder,   kChannelsMoved,     kOtherBatchNorm,   kNotFinite};
  return kAll;
}

report::Finding MakeFinding(const FindingKind& kind, std::string_view layer, std::string_view target) {
  report::Finding finding;
  finding.id = kind.id;
  finding.severity = kind.severity;
  finding.title = kind.title;
  finding.layer = layer;
  finding.target = target;
  return finding;
}

}  // namespace qatgap::findings
