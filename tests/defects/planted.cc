#include "tests/defects/planted.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "tests/analyzers/attribution/demo_analysis.h"

namespace qatgap::defects {
namespace {

using attribution::BiasOf;
using attribution::OutputOf;
using attribution::WeightOf;
using report::Cause;

double StepOf(graph::Graph& graph, const std::string& layer, std::size_t channel = 0) {
  return WeightOf(graph, layer).qparams->scale(channel);
}

// Of one channel; valid until the weight is asked for again.
std::span<std::int32_t> CodesOf(graph::Tensor& weight, std::size_t channel) {
  const auto taps = static_cast<std::size_t>(weight.elements() / weight.dim(0));
  return weight.mutable_data<std::int32_t>().subspan(channel * taps, taps);
}

// A step of 1e-12 holds no bias beyond 2e-3 input steps.
void SaturatedBias(Subject& s) {
  WeightOf(s.converted, "mix").qparams->scales[3] = 1e-12;
  BiasOf(s.converted, "mix")[3] = 0.5F;
}

void EightBitBias(Subject& s) {
  s.target = attribution::Targets({"generic-int8"})[0];
}

void NarrowBias(Subject& s) { s.target.bias.bits = 10; }

void BiasAtAnotherLayersScale(Subject& s) {
  const auto factor = static_cast<float>(StepOf(s.converted, "down.0") / StepOf(s.converted, "pw2.0"));
  for (float& bias : BiasOf(s.converted, "pw2.0")) bias *= factor;
}

void LostBias(Subject& s) {
  for (float& bias : BiasOf(s.converted, "down.0")) bias = 0;
}

void DeadChannel(Subject& s) { std::ranges::fill(CodesOf(WeightOf(s.converted, "mix").value, 5), 0); }

void MultiplierOfOne(Subject& s) {
  WeightOf(s.converted, "head.0").qparams->scales[7] = 2.15;  // M = 1.2
}

void WrappingAccumulator(Subject& s) { s.target.accumulator.bits = 16; }

void SaturatingAccumulator(Subject& s) {
  s.target.accumulator.bits = 16;
  s.target.accumulator.overflow = numerics::AccumulatorOverflow::kSaturate;
}

void WrongZeroPoint(Subject& s) { OutputOf(s.converted, "fc").zero_points[0] += 4; }

void ClippedActivations(Subject& s) { OutputOf(s.converted, "fc").scales[0] *= 0.5; }

void SwappedChannels(Subject& s) {
  graph::ConstantAttributes& weight = WeightOf(s.converted, "pw2.0");
  std::ranges::swap_ranges(CodesOf(weight.value, 1), CodesOf(weight.value, 2));
  std::swap(weight.qparams->scales[1], weight.qparams->scales[2]);
  const auto bias = BiasOf(s.converted, "pw2.0");
  std::swap(bias[1], bias[2]);
}

// Running variances of an early epoch: every channel has a factor of its own, which its weights and its bias get.
void StaleBatchNorm(Subject& s) {
  std::vector<double>& scales = WeightOf(s.converted, "dw2.0").qparams->scales;
  const auto bias = BiasOf(s.converted, "dw2.0");
  for (std::size_t c = 0; c < scales.size(); ++c) {
    const double factor = 1.1 + 0.4 * std::sin(static_cast<double>(c));
    scales[c] *= factor;
    bias[c] *= static_cast<float>(factor);
  }
}

// Trained with reduce_range, deployed without: the trained model clamps where the deployed one goes on.
void ReducedRange(Subject& s) { OutputOf(s.qat, "down.0").quant_max = 127; }

void NanBias(Subject& s) { BiasOf(s.converted, "mix")[3] = std::numeric_limits<float>::quiet_NaN(); }

void NanWeight(Subject& s) { WeightOf(s.converted, "mix").qparams->scales[3] = std::numeric_limits<double>::quiet_NaN(); }

void MultiplierOfFifteenBits(Subject& s) { s.target.requantization.mode = numerics::RequantMode::kQ15; }

void TruncatingRequantization(Subject& s) { s.target.requantization.rounding = numerics::Rounding::kFloor; }

// The converted model is that of another training run.
void AnotherTraining(Subject& s) { s.converted = *attribution::DemoModels("residual_eager_qnnpack").converted; }

// All ranges of the converted model come from samples that were not normalized.
void RangesOfOtherSamples(Subject& s) {
  for (const char* layer : {"stem.0", "dw1.0", "pw1.0", "down.0", "dw2.0", "pw2.0", "mix", "grouped.0", "dw3.0", "head.0"}) {
    OutputOf(s.converted, layer).scales[0] *= 4;
  }
}

}  // namespace

Subject SubjectOf(Base base) {
  const attribution::AnalysisModels models =
      attribution::DemoModels(base == Base::kQnnpackPair ? "residual_eager_qnnpack" : "residual_eager_x86");
  return {.qat = models.qat, .converted = *models.converted, .target = attribution::Targets({"generic-int32"})[0]};
}

const std::vector<Defect>& AllDefects() {
  static const std::vector<Defect> kAll = {
      {.name = "Bias that saturates in one channel", .base = Base::kTwin, .plant = SaturatedBias, .layer = "mix",
       .cause = Cause::kBiasSaturation, .findings = {"QG001"},
       .says = "The stored bias saturates in layer mix, channel 3 of 32."},
      {.name = "Bias of 8 bits", .plant = EightBitBias, .layer = "", .cause = Cause::kBiasRounding,
       .says = "Quantizing the bias explains"},
      {.name = "Bias of too few bits", .plant = NarrowBias, .layer = "", .cause = Cause::kBiasSaturation,
       .findings = {"QG001", "QG002"},
       .says = "The largest cause in these layers is bias saturation: this target's arithmetic is too narrow", .global = true},
      {.name = "Bias at another layer's scale", .plant = BiasAtAnotherLayersScale, .layer = "pw2.0",
       .cause = Cause::kConversion, .findings = {"QG013"},
       .says = "the converted bias is off by more than half a step of the output"},
      {.name = "Bias lost in conversion", .plant = LostBias, .layer = "down.0", .cause = Cause::kConversion,
       .findings = {"QG013"}, .says = "in 32 channel(s) the converted bias is off"},
      {.name = "Dead channel that carries a bias", .base = Base::kTwin, .plant = DeadChannel, .layer = "mix",
       .findings = {"QG004"}, .says = "all weights of 1 channel(s) are 0, the bias is not"},
      {.name = "Multiplier of 1 and more", .base = Base::kTwin, .plant = MultiplierOfOne, .layer = "head.0",
       .findings = {"QG003", "QG017"}, .says = "in 1 channel(s): one accumulator step moves the output by a whole code"},
      {.name = "Accumulator of 16 bits that wraps", .plant = WrappingAccumulator, .layer = "",
       .cause = Cause::kAccumulator, .findings = {"QG014"}, .says = "outside the accumulator's 16 bits, which wraps"},
      {.name = "Accumulator of 16 bits that saturates", .plant = SaturatingAccumulator, .layer = "",
       .cause = Cause::kAccumulator, .findings = {"QG014"}, .says = "outside the accumulator's 16 bits, which saturates"},
      {.name = "Multiplier of 15 bits", .plant = MultiplierOfFifteenBits, .layer = "", .cause = Cause::kRequantization,
       .says = "requantization"},
      {.name = "Requantization that rounds down", .plant = TruncatingRequantization, .layer = "",
       .cause = Cause::kRequantization, .says = "The largest cause is requantization"},
      {.name = "Wrong zero point of the output", .plant = WrongZeroPoint, .layer = "fc", .cause = Cause::kConversion,
       .findings = {"QG011"}, .says = "zero point 57; converted: scale 0.189028665, zero point 61"},
      {.name = "Clipped activations", .plant = ClippedActivations, .layer = "fc", .cause = Cause::kConversion,
       .findings = {"QG011"}, .says = "converted: scale 0.0945143327"},
      {.name = "Range of 7 bits in training, of 8 when deployed", .base = Base::kQnnpackPair, .plant = ReducedRange,
       .layer = "down.0", .cause = Cause::kConversion, .findings = {"QG008"},
       .says = "codes 0..127 in training, 0..255 when deployed"},
      {.name = "Swapped output channels", .plant = SwappedChannels, .layer = "pw2.0", .cause = Cause::kConversion,
       .findings = {"QG013", "QG030"}, .says = "1 has those of trained channel 2, 2 has those of trained channel 1"},
      {.name = "Stale batch norm", .plant = StaleBatchNorm, .layer = "dw2.0", .cause = Cause::kConversion,
       .findings = {"QG013", "QG031"}, .says = "the deployed weights are the trained ones times a factor, from 0.701 to 1.5"},
      {.name = "NaN in a weight scale", .plant = NanWeight, .layer = "mix", .findings = {"QG032"},
       .says = "layer 'mix', channel 3: the deployed model has NaN or infinity in 0 bias(es) and 1 weight scale(s)"},
      {.name = "NaN in a bias", .plant = NanBias, .layer = "mix", .findings = {"QG032"},
       .says = "layer 'mix', channel 3: the deployed model has NaN or infinity in 1 bias(es) and 0 weight scale(s)"},
      {.name = "Converted model of another training", .plant = AnotherTraining, .layer = "", .cause = Cause::kConversion,
       .findings = {"QG011", "QG013"}, .says = "Likely the two models do not belong together", .global = true},
      {.name = "Ranges of other samples", .plant = RangesOfOtherSamples, .layer = "", .cause = Cause::kConversion,
       .findings = {"QG011"}, .says = "likely the converted model has the output ranges", .global = true},
  };
  return kAll;
}

}  // namespace qatgap::defects
