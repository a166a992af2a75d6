#include "analyzers/attribution/ladder.h"

#include "analyzers/status/status_macros.h"

namespace qatgap::attribution {
namespace {

using numerics::ArithmeticStage;

template <typename T>
std::span<const T> Row(std::span<const T> rows, std::int64_t channel, std::int64_t elements) {
  return rows.subspan(static_cast<std::size_t>(channel * elements), static_cast<std::size_t>(elements));
}

}  // namespace

absl::StatusOr<LayerLadder> LayerLadder::Create(const numerics::TargetDescription& target,
                                                const numerics::MacConstants& qat,
                                                const numerics::MacConstants& deployed,
                                                const std::vector<double>& adjusted_scales) {
  // Stage 1 is exact for every target: a description without rules that could refuse the QAT model's constants.
  QATGAP_ASSIGN_OR_RETURN(numerics::LayerArithmetic exact,
                          numerics::LayerArithmetic::Create(numerics::TargetDescription{}, qat));
  QATGAP_ASSIGN_OR_RETURN(numerics::LayerArithmetic arithmetic, numerics::LayerArithmetic::Create(target, deployed));
  LayerLadder ladder(std::move(exact), std::move(arithmetic));
  if (!adjusted_scales.empty()) {
    numerics::MacConstants adjusted = deployed;
    adjusted.weight.scales = adjusted_scales;
    QATGAP_ASSIGN_OR_RETURN(ladder.adjusted_, numerics::LayerArithmetic::Create(target, std::move(adjusted)));
  }
  return ladder;
}

void LayerLadder::ComputeStages(const LadderInput& input, std::span<const std::int32_t> engine, std::int64_t channel,
                                Stages& stages) const {
  const std::span<const std::int32_t> reference = Row(input.fake_quant, channel, input.elements);
  stages[0].assign(reference.begin(), reference.end());
  for (std::size_t stage = 1; stage < kStageCount; ++stage) stages[stage].resize(stages[0].size());
  if (input.qat_sums.empty()) {
    qat_.Codes(ArithmeticStage::kReal, channel, Row(input.qat_accumulators, channel, input.elements), stages[1]);
  } else {
    qat_.RealCodes(channel, Row(input.qat_sums, channel, input.elements), stages[1]);
  }
  const std::span<const std::int32_t> accumulators = Row(input.accumulators, channel, input.elements);
  deployed_.Codes(ArithmeticStage::kReal, channel, accumulators, stages[2]);
  deployed_.Codes(ArithmeticStage::kBiasRounded, channel, accumulators, stages[3]);
  const std::span<const std::int32_t> adjusted =
      adjusted_ ? Row(input.adjusted_accumulators, channel, input.elements) : accumulators;
  stored().Codes(ArithmeticStage::kBiasStored, channel, adjusted, stages[4]);
  stored().Codes(ArithmeticStage::kAccumulated, channel, adjusted, stages[5]);
  stored().Codes(ArithmeticStage::kRequantized, channel, adjusted, stages[6]);
  if (engine.empty()) {
    stages[7] = stages[6];
  } else {
    const std::span<const std::int32_t> row = Row(engine, channel, input.elements);
    stages[7].assign(row.begin(), row.end());
  }
}

void LayerLadder::Add(const LadderInput& input, std::span<const std::int32_t> engine, std::int64_t samples,
                      report::LayerResult& result) const {
  result.samples += static_cast<std::uint64_t>(samples);
  Stages stages;
  std::vector<std::int32_t> whole(static_cast<std::size_t>(input.elements));
  for (std::size_t channel = 0; channel < result.channels.size(); ++channel) {
    ComputeStages(input, engine, static_cast<std::int64_t>(channel), stages);
    for (std::size_t i = 0; i < whole.size(); ++i) whole[i] = stages.back()[i] - stages.front()[i];
    auto& causes = result.channels[channel].causes;
    for (std::size_t stage = 0; stage + 1 < kStageCount; ++stage) {
      causes[stage].Add(stages[stage], stages[stage + 1], whole);
    }
    causes[static_cast<std::size_t>(report::Cause::kTotal)].Add(stages.front(), stages.back(), whole);
  }
}

report::LayerResult LayerLadder::MakeResult(std::int64_t layer, std::int64_t input_index) const {
  report::LayerResult result;
  result.layer = layer;
  result.input_index = input_index;
  result.channels.resize(static_cast<std::size_t>(deployed_.constants().channels));
  for (std::size_t c = 0; c < result.channels.size(); ++c) {
    result.channels[c].bias = stored().stored_bias(static_cast<std::int64_t>(c));
    result.channels[c].multiplier = stored().multiplier(static_cast<std::int64_t>(c));
  }
  return result;
}

}  // namespace qatgap::attribution
