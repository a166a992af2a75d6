#include "analyzers/attribution/ladder.h"

#include "analyzers/status/status_macros.h"

namespace qatgap::attribution {
namespace {

using numerics::ArithmeticStage;

template <typename T>
std::span<const T> Part(std::span<const T> rows, std::int64_t begin, std::int64_t count) {
  return rows.empty() ? rows : rows.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count));
}

}  // namespace

LadderRow RowOf(const LadderInput& input, std::span<const std::int32_t> engine, std::int64_t channel,
                std::int64_t first, std::int64_t count) {
  const std::int64_t begin = channel * input.elements + first;
  return {.fake_quant = Part(input.fake_quant, begin, count),
          .qat_accumulators = Part(input.qat_accumulators, begin, count),
          .qat_sums = Part(input.qat_sums, begin, count),
          .accumulators = Part(input.accumulators, begin, count),
          .adjusted_accumulators = Part(input.adjusted_accumulators, begin, count),
          .engine = Part(engine, begin, count)};
}

void RealCodes(const numerics::LayerArithmetic& qat, const LadderRow& row, std::int64_t channel,
               std::span<std::int32_t> codes) {
  if (row.qat_sums.empty()) {
    qat.Codes(ArithmeticStage::kReal, channel, row.qat_accumulators, codes);
  } else {
    qat.RealCodes(channel, row.qat_sums, codes);
  }
}

const numerics::LayerArithmetic& LayerLadder::arithmetic(ArithmeticStage stage) const {
  return stage == ArithmeticStage::kReal || stage == ArithmeticStage::kBiasRounded ? deployed() : stored();
}

bool LayerLadder::takes_adjusted(ArithmeticStage stage) const { return adjusted() && &arithmetic(stage) == &*adjusted_; }

absl::StatusOr<LayerLadder::Arithmetic> LayerLadder::Exact(const numerics::MacConstants& qat) {
  QATGAP_ASSIGN_OR_RETURN(numerics::LayerArithmetic exact,
                          numerics::LayerArithmetic::Create(numerics::TargetDescription{}, qat));
  return std::make_shared<const numerics::LayerArithmetic>(std::move(exact));
}

absl::StatusOr<LayerLadder> LayerLadder::Create(const numerics::TargetDescription& target,
                                                const numerics::MacConstants& qat,
                                                const numerics::MacConstants& deployed,
                                                const std::vector<double>& adjusted_scales) {
  QATGAP_ASSIGN_OR_RETURN(Arithmetic exact, Exact(qat));
  return Create(target, std::move(exact), deployed, adjusted_scales);
}

absl::StatusOr<LayerLadder> LayerLadder::Create(const numerics::TargetDescription& target, Arithmetic qat,
                                                const numerics::MacConstants& deployed,
                                                const std::vector<double>& adjusted_scales) {
  QATGAP_ASSIGN_OR_RETURN(numerics::LayerArithmetic arithmetic, numerics::LayerArithmetic::Create(target, deployed));
  LayerLadder ladder(std::move(qat), std::make_shared<const numerics::LayerArithmetic>(std::move(arithmetic)));
  if (!adjusted_scales.empty()) {
    numerics::MacConstants adjusted = deployed;
    adjusted.weight.scales = adjusted_scales;
    QATGAP_ASSIGN_OR_RETURN(ladder.adjusted_, numerics::LayerArithmetic::Create(target, std::move(adjusted)));
  }
  return ladder;
}

void LayerLadder::ComputeStages(const LadderInput& input, std::span<const std::int32_t> engine, std::int64_t channel,
                                Stages& stages) const {
  ComputeStages(RowOf(input, engine, channel, 0, input.elements), channel, stages);
}

void LayerLadder::ComputeStages(const LadderRow& row, std::int64_t channel, Stages& stages) const {
  stages[0].assign(row.fake_quant.begin(), row.fake_quant.end());
  for (std::size_t stage = 1; stage < kStageCount; ++stage) stages[stage].resize(stages[0].size());
  RealCodes(qat(), row, channel, stages[1]);
  deployed_->Codes(ArithmeticStage::kReal, channel, row.accumulators, stages[2]);
  deployed_->Codes(ArithmeticStage::kBiasRounded, channel, row.accumulators, stages[3]);
  const std::span<const std::int32_t> adjusted = adjusted_ ? row.adjusted_accumulators : row.accumulators;
  stored().Codes(ArithmeticStage::kBiasStored, channel, adjusted, stages[4]);
  stored().Codes(ArithmeticStage::kAccumulated, channel, adjusted, stages[5]);
  stored().Codes(ArithmeticStage::kRequantized, channel, adjusted, stages[6]);
  if (row.engine.empty()) {
    stages[7] = stages[6];
  } else {
    stages[7].assign(row.engine.begin(), row.engine.end());
  }
}

void LayerLadder::Add(const LadderInput& input, std::span<const std::int32_t> engine, std::int64_t samples,
                      report::LayerResult& result) const {
  result.samples += static_cast<std::uint64_t>(samples);
  for (std::size_t channel = 0; channel < result.channels.size(); ++channel) {
    const auto c = static_cast<std::int64_t>(channel);
    AddRow(RowOf(input, engine, c, 0, input.elements), c, result.channels[channel]);
  }
}

void LayerLadder::AddRow(const LadderRow& row, std::int64_t channel, report::ChannelResult& result) const {
  Stages stages;
  ComputeStages(row, channel, stages);
  std::vector<std::int32_t> whole(stages[0].size());
  for (std::size_t i = 0; i < whole.size(); ++i) whole[i] = stages.back()[i] - stages.front()[i];
  auto& causes = result.causes;
  for (std::size_t stage = 0; stage + 1 < kStageCount; ++stage) {
    causes[stage].Add(stages[stage], stages[stage + 1], whole);
  }
  causes[static_cast<std::size_t>(report::Cause::kTotal)].Add(stages.front(), stages.back(), whole);
}

report::LayerResult LayerLadder::MakeResult(std::int64_t layer, std::int64_t input_index) const {
  report::LayerResult result;
  result.layer = layer;
  result.input_index = input_index;
  result.channels.resize(static_cast<std::size_t>(deployed_->constants().channels));
  for (std::size_t c = 0; c < result.channels.size(); ++c) {
    result.channels[c].bias = stored().stored_bias(static_cast<std::int64_t>(c));
    result.channels[c].multiplier = stored().multiplier(static_cast<std::int64_t>(c));
  }
  return result;
}

}  // namespace qatgap::attribution
