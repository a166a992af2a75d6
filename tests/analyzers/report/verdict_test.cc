// Verdicts on results whose numbers are chosen, so that every figure in a sentence is known.
#include <string>

#include "absl/strings/str_join.h"
#include "analyzers/report/report.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/report/sample_report.h"

namespace qatgap::report {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

statistics::DifferenceStatistics Sums(std::uint64_t count, std::uint64_t changed, std::uint64_t max,
                                      std::int64_t cross_total, std::uint64_t sum_squares) {
  statistics::DifferenceStatistics s;
  s.count = count;
  s.changed = changed;
  s.sum_absolute = changed;
  s.max_absolute = max;
  s.cross_total = cross_total;
  s.sum_squares = sum_squares;
  return s;
}

// One layer "conv1" with one channel; 45,678,900 outputs; nothing differs yet.
constexpr std::uint64_t kCount = 45'678'900;

Report Quiet() {
  Report report;
  AnalysisResult& result = report.result;
  result.samples = 512;
  result.mac_layers = 1;
  LayerInfo layer;
  layer.name = "conv1";
  layer.kind = "conv2d";
  layer.channels = 1;
  layer.output = {.scales = {0.1}, .zero_points = {0}};
  result.layers.push_back(layer);
  TargetResult target;
  target.name = "chip";
  target.evidence.kind = numerics::EvidenceKind::kVerified;
  LayerResult measured;
  measured.samples = 512;
  measured.channels.resize(1);
  for (auto& cause : measured.channels[0].causes) cause = Sums(kCount, 0, 0, 0, 0);
  measured.channels[0].causes[static_cast<std::size_t>(Cause::kEngineResidual)] = {};
  target.layers.push_back(measured);
  result.targets.push_back(target);
  return report;
}

statistics::DifferenceStatistics& Of(Report& report, Cause cause) {
  return report.result.targets[0].layers[0].channels[0].causes[static_cast<std::size_t>(cause)];
}

void Compare(Report& report, Path path, Path reference, std::uint64_t changed, std::uint64_t max,
             std::uint64_t answers) {
  PathComparison comparison;
  comparison.path = path;
  comparison.reference = reference;
  comparison.outputs = {Sums(5120, changed, max, 0, changed)};
  comparison.top1_changed = answers;
  report.result.targets[0].comparisons.push_back(comparison);
}

// 1,234 codes moved by the bias; shares 0.4 % bias, 71.2 % conversion, 20.1 % requantization, 8.3 %
// float.
Report Harmless() {
  Report report = Quiet();
  Of(report, Cause::kFloatArithmetic) = Sums(kCount, 10'000, 1, 83'000, 83'000);
  Of(report, Cause::kConversion) = Sums(kCount, 700'000, 2, 712'000, 712'000);
  Of(report, Cause::kBiasRounding) = Sums(kCount, 1'234, 1, 4'000, 1'234);
  Of(report, Cause::kRequantization) = Sums(kCount, 200'000, 1, 201'000, 201'000);
  Of(report, Cause::kTotal) = Sums(kCount, 900'000, 2, 1'000'000, 1'000'000);
  Compare(report, Path::kQuantizedBias, Path::kFloatBias, 3, 1, 0);
  Compare(report, Path::kTarget, Path::kFakeQuant, 700, 2, 1);
  return report;
}

TargetVerdict VerdictOfFirst(const Report& report) {
  return VerdictOf(report, report.result.targets[0]);
}

std::string All(const TargetVerdict& verdict) { return absl::StrJoin(verdict.sentences, "\n"); }

TEST(VerdictTest, HarmlessBiasIsCalledHarmlessAndTheRealCauseIsNamed) {
  const TargetVerdict verdict = VerdictOfFirst(Harmless());
  EXPECT_EQ(verdict.target, "chip");
  EXPECT_EQ(verdict.headline,
            "Quantizing the bias is harmless here: it changes 1,234 of 45,678,900 layer outputs "
            "(0.0027 %), by at most 1 LSB; at the model's outputs it changes 3 of 5,120 values "
            "(0.059 %), by at most 1 LSB and the answer of 0 of 512 samples.");
  const std::string all = All(verdict);
  EXPECT_THAT(all, HasSubstr("Quantizing the bias explains 0.40 % of the difference between the "
                             "trained and the deployed model; the rest is conversion 71.2 %, "
                             "requantization 20.1 %, float arithmetic 8.3 %."));
  EXPECT_THAT(all, HasSubstr("The largest cause is conversion"));
  EXPECT_THAT(all, HasSubstr("From end to end the deployed model changes 700 of 5,120 values (13.7 "
                             "%), by at most 2 LSB and the answer of 1 of 512 samples."));
  EXPECT_THAT(all, HasSubstr("Analysed 1 of 1 MAC layer."));
  EXPECT_THAT(all, HasSubstr("it is not \"bias correction\""));
  EXPECT_THAT(all, Not(HasSubstr("saturat")));
}

TEST(VerdictTest, AnAnswerMovedByTheBiasIsNotHarmless) {
  Report report = Harmless();
  report.result.targets[0].comparisons[0].top1_changed = 1;
  EXPECT_THAT(VerdictOfFirst(report).headline,
              AllOf(StartsWith("Quantizing the bias changes 1,234 of"),
                    EndsWith("the answer of 1 of 512 samples."), Not(HasSubstr("harmless"))));
}

TEST(VerdictTest, ALargeShareIsNotHarmless) {
  Report report = Harmless();
  Of(report, Cause::kBiasRounding).cross_total = 10'000;  // 1 %: no longer below it
  EXPECT_THAT(VerdictOfFirst(report).headline, Not(HasSubstr("harmless")));
}

TEST(VerdictTest, TwoLsbAreNotHarmless) {
  Report report = Harmless();
  Of(report, Cause::kBiasRounding).max_absolute = 2;
  EXPECT_THAT(VerdictOfFirst(report).headline, Not(HasSubstr("harmless")));
}

TEST(VerdictTest, TheBiasIsNamedWhereItIsTheLargestCause) {
  Report report = Harmless();
  Of(report, Cause::kConversion).cross_total = 4'000;
  Of(report, Cause::kBiasRounding).cross_total = 712'000;
  EXPECT_THAT(All(VerdictOfFirst(report)), AllOf(HasSubstr("Quantizing the bias explains 71.2 %"),
                                                 HasSubstr("The largest cause is the bias")));
}

TEST(VerdictTest, FloatBias) {
  Report report = Harmless();
  report.result.targets[0].bias_mode = numerics::BiasMode::kFloatBeforeScale;
  Of(report, Cause::kBiasRounding) = Sums(kCount, 0, 0, 0, 0);
  const TargetVerdict verdict = VerdictOfFirst(report);
  EXPECT_EQ(verdict.headline,
            "This target keeps the bias in float: quantizing the bias changes nothing.");
  EXPECT_THAT(All(verdict),
              HasSubstr("The difference between the trained and the deployed model is "
                        "conversion 71.2 %"));
}

TEST(VerdictTest, BitExact) {
  Report report = Quiet();
  Compare(report, Path::kTarget, Path::kFakeQuant, 0, 0, 0);
  const TargetVerdict verdict = VerdictOfFirst(report);
  EXPECT_EQ(verdict.headline,
            "Quantizing the bias is harmless here: it changes none of 45,678,900 layer outputs.");
  EXPECT_THAT(All(verdict),
              AllOf(HasSubstr("bit exact: all 45,678,900 layer outputs are the same."),
                    HasSubstr("From end to end the deployed model returns the trained "
                              "model's outputs bit exactly")));
}

TEST(VerdictTest, SaturationIsToldApartAndLocated) {
  Report report = Harmless();
  Of(report, Cause::kBiasSaturation) = Sums(kCount, 5'000, 40, 300'000, 900'000);
  LayerResult& layer = report.result.targets[0].layers[0];
  layer.channels.resize(12);
  for (const std::size_t c : {0U, 1U, 2U, 3U, 4U, 5U, 6U, 7U, 11U}) {
    layer.channels[c].bias.saturated = true;
  }
  const TargetVerdict verdict = VerdictOfFirst(report);
  EXPECT_THAT(
      verdict.headline,
      AllOf(StartsWith("Bias saturation changes 5,000 of 45,678,900 layer outputs (0.011 %), "
                       "by at most 40 LSB; rounding the bias changes 1,234 of"),
            HasSubstr("at the model's outputs the two together change 3 of 5,120 values")));
  EXPECT_THAT(
      All(verdict),
      AllOf(HasSubstr("The stored bias saturates in layer conv1, channels 0, 1, 2, 3, 4, 5, "
                      "6, 7 and 1 more of 12."),
            HasSubstr("(bias rounding 0.40 %, bias saturation 30.0 %)")));
}

TEST(VerdictTest, OneSaturatedChannelIsSingular) {
  Report report = Quiet();
  report.result.targets[0].layers[0].channels[0].bias.saturated = true;
  EXPECT_THAT(All(VerdictOfFirst(report)),
              HasSubstr("The stored bias saturates in layer conv1, channel 0 of 1."));
}

TEST(VerdictTest, NegativeSharesOffset) {
  Report report = Harmless();
  Of(report, Cause::kBiasRounding).cross_total = -3'000;
  Of(report, Cause::kFloatArithmetic).cross_total = -20'000;
  EXPECT_THAT(All(VerdictOfFirst(report)),
              AllOf(HasSubstr("Quantizing the bias offsets 0.30 % of the difference"),
                    HasSubstr("float arithmetic offsets 2.0 %")));
}

TEST(VerdictTest, CausesThatCancelAreSaidToCancel) {
  Report report = Quiet();
  Of(report, Cause::kConversion) = Sums(kCount, 5, 1, 0, 5);
  Of(report, Cause::kRequantization) = Sums(kCount, 5, 1, 0, 5);
  EXPECT_THAT(All(VerdictOfFirst(report)), HasSubstr("cancel exactly"));
}

TEST(VerdictTest, EngineThatAgrees) {
  Report report = Quiet();
  report.result.targets[0].engine = numerics::Engine::kQnnpack;
  report.result.targets[0].layers[0].engine_measured = true;
  Of(report, Cause::kEngineResidual) = Sums(kCount, 0, 0, 0, 0);
  EXPECT_THAT(All(VerdictOfFirst(report)), HasSubstr("returned exactly these codes."));
}

TEST(VerdictTest, EngineThatDisagreesIsLoudAndKeepsItsNote) {
  Report report = Quiet();
  report.result.targets[0].engine = numerics::Engine::kFbgemm;
  report.result.targets[0].layers[0].engine_measured = true;
  report.result.targets[0].layers[0].engine_note = "int16 pairs saturate without VNNI";
  Of(report, Cause::kEngineResidual) = Sums(kCount, 7, 3, 7, 7);
  EXPECT_THAT(All(VerdictOfFirst(report)),
              AllOf(HasSubstr("WARNING: the real engine ("),
                    HasSubstr("DISAGREES with this target's description in 7 of 45,678,900 layer "
                              "outputs"),
                    HasSubstr("int16 pairs saturate without VNNI.")));
}

TEST(VerdictTest, EngineThatDidNotRunSaysWhy) {
  Report report = Quiet();
  report.result.targets[0].engine = numerics::Engine::kFbgemm;
  report.result.targets[0].layers[0].engine_note = "not built for this CPU";
  Of(report, Cause::kEngineResidual) = Sums(kCount, 0, 0, 0, 0);  // its stage repeats the one above
  EXPECT_THAT(All(VerdictOfFirst(report)),
              AllOf(HasSubstr("Not checked against the real engine"),
                    HasSubstr("not built for this CPU."), Not(HasSubstr("exactly these codes"))));
}

TEST(VerdictTest, EngineThatRanForAPartOnlySaysSo) {
  Report report = Quiet();
  report.result.targets[0].engine = numerics::Engine::kFbgemm;
  report.result.targets[0].layers[0].engine_measured = true;
  Of(report, Cause::kEngineResidual) = Sums(kCount / 2, 0, 0, 0, 0);
  EXPECT_THAT(All(VerdictOfFirst(report)), HasSubstr("it ran for 50.0 % of the layer outputs"));
}

TEST(VerdictTest, EvidenceThatIsNotVerifiedIsSaid) {
  Report report = Quiet();
  report.result.targets[0].evidence = {numerics::EvidenceKind::kFromSource, "read in v1.2."};
  EXPECT_THAT(All(VerdictOfFirst(report)),
              HasSubstr("was not verified against a real runtime (read in v1.2)."));
  report.result.targets[0].evidence.kind = numerics::EvidenceKind::kUnverified;
  EXPECT_THAT(All(VerdictOfFirst(report)), HasSubstr("This target is unverified"));
}

TEST(VerdictTest, AccuracyOfEachPathWhereLabelled) {
  Report report = Quiet();
  report.result.targets[0].accuracies = {{Path::kTarget, 457}, {Path::kFakeQuant, 456}};
  EXPECT_THAT(All(VerdictOfFirst(report)), Not(HasSubstr("Accuracy")));
  report.result.labelled = 512;
  EXPECT_THAT(All(VerdictOfFirst(report)),
              HasSubstr("Accuracy over 512 labelled samples: 89.1 % fake-quant, 89.3 % target."));
}

TEST(VerdictTest, WhatWasNotMeasuredIsNamed) {
  Report report = Quiet();
  report.result.mac_layers = 3;
  report.result.unmeasured = {{"aux", "conv2d", "no pair", true}};
  EXPECT_THAT(All(VerdictOfFirst(report)),
              HasSubstr("Analysed 1 of 3 MAC layers; not measured: aux (conv2d: no pair)."));
}

TEST(VerdictTest, NothingMeasuredIsNotCalledHarmless) {
  Report report = Quiet();
  report.result.targets[0].layers.clear();
  EXPECT_THAT(VerdictOfFirst(report).headline, StartsWith("Nothing was measured"));
}

TEST(VerdictTest, TheNoteOnBiasCorrectionComesOnce) {
  const Report report = RealisticReport(3);
  EXPECT_THAT(All(VerdictOf(report, report.result.targets[0])), HasSubstr("bias correction"));
  EXPECT_THAT(All(VerdictOf(report, report.result.targets[1])), Not(HasSubstr("bias correction")));
}

}  // namespace
}  // namespace qatgap::report
