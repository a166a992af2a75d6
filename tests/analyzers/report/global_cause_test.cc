#include "analyzers/report/global_cause.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/analyzers/report/small_report.h"

namespace qatgap::report {
namespace {

using ::testing::HasSubstr;

const numerics::QuantParams kGrid{.scales = {0.5}, .zero_points = {10}, .quant_min = 0, .quant_max = 255};

// 100 codes with signal 40 around the zero point; `d` is added to each by `cause`.
ChannelResult Channel(std::int64_t d, Cause cause) {
  const auto sums = [](std::int64_t by) {
    statistics::DifferenceStatistics s;
    const std::vector<std::int32_t> reference(100, 50);
    const std::vector<std::int32_t> value(100, 50 + static_cast<std::int32_t>(by));
    s.Add(reference, value);
    return s;
  };
  ChannelResult channel;
  channel.causes.fill(sums(0));
  channel.causes[static_cast<std::size_t>(cause)] = sums(d);
  channel.causes[static_cast<std::size_t>(Cause::kTotal)] = sums(d);
  return channel;
}

// `injected` and `accumulated` differences of the layers, in LSB.
AnalysisResult Result(const std::vector<std::int64_t>& injected, const std::vector<std::int64_t>& accumulated, Cause cause,
                      std::uint64_t weights_changed = 20) {
  AnalysisResult result;
  TargetResult& target = result.targets.emplace_back();
  PathComparison& whole = target.comparisons.emplace_back();
  for (std::size_t i = 0; i < injected.size(); ++i) {
    result.layers.push_back({.name = absl::StrCat("l", i), .kind = "conv2d", .channels = 1, .weight_shape = {}, .output = kGrid,
                             .inputs = {kGrid}, .weights = 100, .weight_codes_changed = weights_changed});
    target.layers.push_back({.layer = static_cast<std::int64_t>(i), .samples = 1, .engine_note = "",
                             .channels = {Channel(injected[i], cause)}});
    whole.layers.push_back(Channel(accumulated[i], cause).causes.back());
  }
  return result;
}

std::optional<GlobalCause> Of(const AnalysisResult& result) { return GlobalCauseOf(result, result.targets[0]); }

// SQNR of d: 20 log10(40 / |d|), so 12 LSB are 10.5 dB and 13 are 9.8 dB.
TEST(GlobalCauseTest, MoreThanHalfOfTheLayersMustBeOff) {
  EXPECT_EQ(Of(Result({12, 12, 12, 12}, {0, 0, 0, 0}, Cause::kConversion)), std::nullopt);
  EXPECT_EQ(Of(Result({13, 13, 0, 0}, {0, 0, 0, 0}, Cause::kConversion)), std::nullopt) << "half of them";
  const auto global = Of(Result({13, 13, -13, 0}, {0, 0, 0, 0}, Cause::kConversion));
  ASSERT_TRUE(global);
  EXPECT_EQ(global->off, 3);
  EXPECT_EQ(global->layers, 4);
  EXPECT_EQ(Of(Result({13, 13}, {13, 13}, Cause::kConversion)), std::nullopt) << "two layers are no network";
}

TEST(GlobalCauseTest, ConversionIsPairingOrRange) {
  const auto pairing = Of(Result({30, 30, 30}, {0, 0, 0}, Cause::kConversion, /*weights_changed=*/90));
  ASSERT_TRUE(pairing);
  EXPECT_EQ(pairing->reason, GlobalReason::kPairing);
  EXPECT_THAT(pairing->sentence, HasSubstr("3 of 3 layers are off (SQNR below 10 dB)"));
  EXPECT_THAT(pairing->sentence, HasSubstr("do not belong together: 90.0 % of their weight codes differ"));
  const auto range = Of(Result({30, 30, 30}, {0, 0, 0}, Cause::kConversion, /*weights_changed=*/0));
  ASSERT_TRUE(range);
  EXPECT_EQ(range->reason, GlobalReason::kRange);
}

TEST(GlobalCauseTest, CausesOfTheTargetAreTheTargets) {
  for (const Cause cause : {Cause::kBiasRounding, Cause::kBiasSaturation, Cause::kAccumulator, Cause::kRequantization}) {
    const auto global = Of(Result({30, 30, 30}, {0, 0, 0}, cause));
    ASSERT_TRUE(global);
    EXPECT_EQ(global->reason, GlobalReason::kTarget);
    EXPECT_EQ(global->cause, cause);
  }
  const auto other = Of(Result({30, 30, 30}, {0, 0, 0}, Cause::kFloatArithmetic));
  ASSERT_TRUE(other);
  EXPECT_EQ(other->reason, GlobalReason::kOther);
}

TEST(GlobalCauseTest, OneBadLayerIsNotGlobalThoughAllBehindItAreOff) {
  EXPECT_EQ(Of(Result({0, 60, 0, 0, 0}, {0, 60, 60, 60, 60}, Cause::kBiasSaturation)), std::nullopt);
  EXPECT_EQ(Of(Result({60, 0, 0, 0, 0}, {60, 60, 60, 60, 60}, Cause::kBiasSaturation)), std::nullopt)
      << "the first layer is off with the trained model's inputs too: it is the cause";
}

TEST(GlobalCauseTest, RightLayersWithAWrongInputAreTheInput) {
  const auto global = Of(Result({0, 1, 0, 0}, {60, 60, 60, 0}, Cause::kConversion));
  ASSERT_TRUE(global);
  EXPECT_EQ(global->reason, GlobalReason::kInput);
  EXPECT_EQ(global->off, 3);
}

TEST(GlobalCauseTest, TheHeadlineIsTheGlobalCause) {
  Report report;
  report.result = Result({30, 30, 30}, {0, 0, 0}, Cause::kConversion, 90);
  const TargetVerdict verdict = VerdictOf(report, report.result.targets[0]);
  EXPECT_THAT(verdict.headline, HasSubstr("Global cause: 3 of 3 layers"));
  EXPECT_THAT(verdict.sentences[0], HasSubstr("uantizing the bias")) << "what would have been the headline";
  for (const std::string& sentence : verdict.sentences) EXPECT_THAT(sentence, ::testing::Not(HasSubstr("contributes most")));
}

TEST(ClippedInputTest, FivePercentAreSaid) {
  InputRange range{.name = "x", .grid = kGrid, .count = 1000, .clipped = 49, .least = -1, .greatest = 300};
  EXPECT_TRUE(ClippedInputSentences({range}).empty());
  range.clipped = 50;
  EXPECT_THAT(ClippedInputSentences({range}),
              ::testing::ElementsAre("Input x: 5.0 % of the values lie outside of -5 to 122, what its quantizer holds (the samples "
                                     "go from -1 to 300): check the preprocessing of the samples."));
}

}  // namespace
}  // namespace qatgap::report
