#include "server/result_conversion.h"

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::server {
namespace {

using ::qatgap::testing::StatusIs;
using ::testing::HasSubstr;

statistics::DifferenceStatistics Statistics(std::int64_t seed) {
  statistics::DifferenceStatistics s;
  const auto u = static_cast<std::uint64_t>(seed);
  s = {.count = u + 1, .changed = u + 2, .sum = -seed - 3, .sum_absolute = u + 4,
       .sum_squares = u + 5, .max_absolute = u + 6, .reference_sum = -seed - 7,
       .reference_sum_squares = u + 8, .cross_sum = -seed - 9, .cross_total = -seed - 10};
  for (std::size_t i = 0; i < statistics::kHistogramBins; ++i) s.histogram.Add(i, u + 100 + i);
  return s;
}

// Every field differs from its default.
report::AnalysisResult FullResult() {
  report::AnalysisResult r;
  r.environment = {.tool_version = "1", .libtorch_version = "2", .cpu_features = {"avx2", "avx512_vnni"},
                   .engines = {"fbgemm"}, .batch_size = 16, .threads = 3};
  r.qat_format = "TorchScript, traced";
  r.converted_given = true;
  r.mac_layers = 4;
  r.layers.push_back(
      {.name = "conv1", .kind = "conv2d", .channels = 2, .weight_shape = {2, 3, 3, 3},
       .activation = numerics::Activation::kRelu6,
       .output = {.scales = {0.1}, .zero_points = {3}, .quant_min = -128, .quant_max = 127, .axis = -1},
       .inputs = {{.scales = {0.2, 0.3}, .zero_points = {1, 2}, .quant_min = 0, .quant_max = 63, .axis = 1},
                  {.scales = {0.5}, .zero_points = {0}, .quant_min = 0, .quant_max = 255, .axis = -1}},
       .input_off_grid = true, .weights = 54, .weight_codes_changed = 9, .source_line = "model.py:42",
       .module_stack = "Net > conv1: Conv2d"});
  report::ChannelResult channel;
  channel.bias.real = 0.1;
  channel.bias.scale = 1e-5;
  channel.bias.rounded = 1e19;
  channel.bias.stored = -2147483648;
  channel.bias.saturated = true;
  channel.bias.residual_lsb = -0.25;
  channel.multiplier = 0.003;
  for (std::size_t i = 0; i < channel.causes.size(); ++i) {
    channel.causes[i] = Statistics(static_cast<std::int64_t>(i) * 50);
  }
  report::TargetResult target;
  target.name = "pytorch-fbgemm";
  target.title = "PyTorch";
  target.digest = "0123";
  target.bias_mode = numerics::BiasMode::kFloatAfterScale;
  target.engine = numerics::Engine::kQnnpack;
  target.evidence = {numerics::EvidenceKind::kFromSource, "read"};
  target.layers.push_back({.layer = 0, .input_index = 1, .samples = 7, .engine_measured = true,
                           .engine_note = "note", .channels = {channel, channel}});
  target.comparisons.push_back({.path = report::Path::kEngine,
                                .reference = report::Path::kQuantizedBias,
                                .outputs = {Statistics(1000)},
                                .top1_changed = 5,
                                .layers = {Statistics(2000), Statistics(3000)},
                                .lost = 2,
                                .gained = 3,
                                .worst = {{.sample = 9, .top1_changed = true, .reference_answer = -1, .answer = 4, .changed = 5,
                                           .max_absolute = 6, .sum_squares = 7,
                                           .differences = {{.output = 1, .element = 2, .reference = -3, .value = 4}}}}});
  target.sensitivities.push_back(
      {.layer = 0, .outputs = {Statistics(6000)}, .top1_changed = 1, .lost = 2, .gained = 3});
  target.accuracies.push_back({.path = report::Path::kTarget, .correct = 11});
  target.what_ifs.push_back({.layer = 0, .input_index = 1, .calibration_samples = 12,
                             .rows = {{.what_if = report::WhatIf::kExplicitAdd, .note = "n", .measured = true,
                                       .is_remedy = true, .stored = {-5, 6}, .against_float_bias = Statistics(4000),
                                       .against_fake_quant = Statistics(5000)},
                                      {.what_if = report::WhatIf::kPlain}}});
  r.targets.push_back(target);
  r.findings.push_back({.id = "QG001", .severity = report::Severity::kError, .title = "t", .layer = "conv1",
                        .target = "pytorch-fbgemm", .channels = {1, 5}, .detail = "d", .advice = "a"});
  r.unmeasured.push_back({.name = "softmax", .what = "aten::softmax", .reason = "float", .is_mac_layer = true});
  r.samples = 64;
  r.converted_format = "ONNX, QDQ";
  r.notes = {"rebuilt", "and more"};
  r.network = {{.name = "x", .kind = "input"},
               {.name = "conv1", .kind = "conv2d", .layer = 0, .module = "Net > conv1: Conv2d", .inputs = {0}},
               {.name = "add", .kind = "add", .module = "Net", .inputs = {0, 1}, .branch = "if 1 then"}};
  r.labelled = 60;
  r.outputs = r.layers[0].inputs;
  r.worst_samples = 12;
  r.input_ranges = {{.name = "x", .grid = r.outputs[0], .count = 8, .clipped = 1, .least = -0.5F, .greatest = 2.5F}};
  r.held_out = {.samples = 3, .labelled = 2, .input_ranges = r.input_ranges, .targets = r.targets};
  return r;
}

TEST(ResultConversionTest, RoundTripLosesNothing) {
  const report::AnalysisResult result = FullResult();
  const auto parsed = ParseResult(SerializeResult(result));
  QATGAP_ASSERT_OK(parsed);
  EXPECT_EQ(*parsed, result);
}

TEST(ResultConversionTest, RefusesWhatNoAnalysisGives) {
  const auto expect = [](const char* what, auto change) {
    v1::AnalysisResult message = ToProto(FullResult());
    change(message);
    EXPECT_THAT(FromProto(message), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(what)));
  };
  expect("histogram", [](auto& m) {
    m.mutable_targets(0)->mutable_comparisons(0)->mutable_outputs(0)->add_histogram(1);
  });
  expect("causes", [](auto& m) {
    m.mutable_targets(0)->mutable_layers(0)->mutable_channels(0)->mutable_causes()->RemoveLast();
  });
  expect("LayerResult.layer is 1 of 1",
         [](auto& m) { m.mutable_targets(0)->mutable_layers(0)->set_layer(1); });
  expect("LayerResult.layer is -1",
         [](auto& m) { m.mutable_targets(0)->mutable_layers(0)->set_layer(-1); });
  expect("input_index is 2 of 2",
         [](auto& m) { m.mutable_targets(0)->mutable_layers(0)->set_input_index(2); });
  expect("bias_mode", [](auto& m) { m.mutable_targets(0)->clear_bias_mode(); });
  expect("Finding.severity", [](auto& m) { m.mutable_findings(0)->clear_severity(); });
  expect("PathComparison.path", [](auto& m) {
    m.mutable_targets(0)->mutable_comparisons(0)->set_path(static_cast<v1::Path>(9));
  });
  expect("LayerWhatIfs.layer is 1 of 1", [](auto& m) { m.mutable_targets(0)->mutable_what_ifs(0)->set_layer(1); });
  expect("LayerWhatIfs.input_index is 2 of 2",
         [](auto& m) { m.mutable_targets(0)->mutable_what_ifs(0)->set_input_index(2); });
  expect("WhatIfRow.what_if is 0",
         [](auto& m) { m.mutable_targets(0)->mutable_what_ifs(0)->mutable_rows(0)->clear_what_if(); });
  expect("histogram", [](auto& m) {
    m.mutable_targets(0)->mutable_what_ifs(0)->mutable_rows(0)->clear_against_fake_quant();
  });
  expect("LayerSensitivity.layer is 1 of 1",
         [](auto& m) { m.mutable_targets(0)->mutable_sensitivities(0)->set_layer(1); });
  expect("LayerResult.layer is 1 of 1",
         [](auto& m) { m.mutable_held_out()->mutable_targets(0)->mutable_layers(0)->set_layer(1); });
  expect("NetworkNode.layer is 1 of 1", [](auto& m) { m.mutable_network(1)->set_layer(1); });
  expect("inputs of node 1 name node 1", [](auto& m) { m.mutable_network(1)->set_inputs(0, 1); });
  expect("inputs of node 2 name node 0", [](auto& m) { m.mutable_network(2)->set_inputs(1, 0); });
  EXPECT_THAT(ParseResult("\xff\xff"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("bytes")));
}

TEST(ResultConversionTest, SummaryAddsChannelsUp) {
  const report::AnalysisResult result = FullResult();
  const report::TargetResult& target = result.targets[0];
  const v1::LayerSummary summary = MakeLayerSummary(result, target, target.layers[0]);
  EXPECT_EQ(summary.target(), "pytorch-fbgemm");
  EXPECT_EQ(summary.info().name(), "conv1");
  EXPECT_EQ(summary.input_index(), 1);
  ASSERT_EQ(summary.causes_size(), 8);
  EXPECT_EQ(summary.causes(1).sum(), 2 * (-50 - 3));
  EXPECT_EQ(summary.causes(1).max_absolute(), 56U);
}

TEST(ResultConversionTest, EveryShippedTarget) {
  for (const auto& target : numerics::ShippedTargets()) {
    const v1::Target message = ToProto(target);
    EXPECT_EQ(message.name(), target.name);
    EXPECT_EQ(message.bias_mode() == v1::BIAS_MODE_UNSPECIFIED, !target.delegates.empty());
    EXPECT_EQ(message.rules().delegates_size(), static_cast<int>(target.delegates.size()));
    EXPECT_EQ(message.rules().has_bias(), target.delegates.empty());
    EXPECT_NE(message.evidence().kind(), v1::EVIDENCE_KIND_UNSPECIFIED);
    EXPECT_EQ(message.arithmetic_digest(), numerics::ArithmeticDigest(target));
  }
}

}  // namespace
}  // namespace qatgap::server
