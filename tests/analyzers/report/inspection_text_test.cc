#include "analyzers/report/inspection_text.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qatgap::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

AnalysisResult OneLayer() {
  AnalysisResult result;
  result.qat_format = "TorchScript, traced";
  result.mac_layers = 2;
  LayerInfo& layer = result.layers.emplace_back();
  layer.name = "conv";
  layer.kind = "conv2d";
  layer.channels = 2;
  TargetResult& target = result.targets.emplace_back();
  target.name = "mine";
  target.title = "My device";
  target.digest = "0123";
  target.evidence.detail = "user-defined.";
  LayerResult& measured = target.layers.emplace_back();
  measured.channels.resize(2);
  measured.channels[0] = {.bias = {.scale = 0.5, .saturated = true, .residual_lsb = -0.25}, .multiplier = 0.5, .causes = {}};
  measured.channels[1] = {.bias = {.scale = 0.5, .residual_lsb = 0.125}, .multiplier = 0.0625, .causes = {}};
  return result;
}

TEST(InspectionTextTest, SourceLinesFormatsAndNotes) {
  AnalysisResult result = OneLayer();
  result.layers[0].source_line = "model.py:42";
  result.converted_given = true;
  result.converted_format = "ONNX, QDQ";
  result.notes = {"rebuilt"};
  EXPECT_THAT(WriteInspection(result), ::testing::HasSubstr("converted model: ONNX, QDQ\nnote: rebuilt\n"));
  EXPECT_THAT(WriteInspection(result), ::testing::HasSubstr("\n  conv model.py:42  conv2d "));
}

TEST(InspectionTextTest, WorstOfEachLayer) {
  EXPECT_EQ(WriteInspection(OneLayer()),
            "model: TorchScript, traced; 1 of 2 layers that carry a bias inspected\n"
            "converted model: not given, the QAT model was lowered\n"
            "\n"
            "target mine: My device\n"
            "  unverified: user-defined; digest 0123\n"
            "  layer  kind    channels  bias error LSB  saturated   M min  M max\n"
            "  conv   conv2d         2            0.25          1  0.0625    0.5\n"
            "\n"
            "no findings\n");
}

TEST(InspectionTextTest, AFloatBiasHasNoSteps) {
  AnalysisResult result = OneLayer();
  for (ChannelResult& channel : result.targets[0].layers[0].channels) channel.bias = {};
  EXPECT_THAT(WriteInspection(result), HasSubstr("  float  "));
}

TEST(InspectionTextTest, WorstFindingsFirstAndHarmless) {
  AnalysisResult result = OneLayer();
  result.findings = {{.id = "QG008", .severity = Severity::kInfo, .title = "Small", .layer = "", .target = "",
                      .channels = {}, .detail = "", .advice = ""},
                     {.id = "QG001", .severity = Severity::kError, .title = "Large", .layer = "conv\x1b[31m",
                      .target = "mine", .channels = {1}, .detail = "numbers", .advice = "fix"}};
  result.unmeasured = {{.name = "fc", .what = "linear", .reason = "refused", .is_mac_layer = true}};
  const std::string text = WriteInspection(result);
  EXPECT_THAT(text, HasSubstr("2 findings\nerror QG001: Large, conv"));
  EXPECT_THAT(text, HasSubstr(", channel 1, target mine\n  numbers\n  advice: fix\ninfo QG008: Small\n"));
  EXPECT_THAT(text, HasSubstr("not inspected\n  fc (linear): refused\n"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace qatgap::report
