// The demo models through the real binaries: what a user sees of a healthy analysis.
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/end_to_end/workspace.h"

namespace qatgap::end_to_end {
namespace {

using nlohmann::json;
using ::testing::AnyOf;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

const json* FindTarget(const json& report, const std::string& name) {
  for (const json& target : report["statistics"]["targets"]) {
    if (target["name"] == name) return &target;
  }
  return nullptr;
}

// Over all layers.
std::uint64_t SumOf(const json& target, const std::string& cause, const std::string& member) {
  std::uint64_t sum = 0;
  for (const json& layer : target["layers"]) sum += layer["causes"][cause][member].get<std::uint64_t>();
  return sum;
}

std::set<std::string> Findings(const json& report) {
  std::set<std::string> ids;
  for (const json& finding : report["statistics"]["findings"]) ids.insert(finding["id"].get<std::string>());
  return ids;
}

// No difference from the real engine, except where the report itself says why.
void ExpectEngineAgrees(const json& target) {
  for (const json& layer : target["layers"]) {
    SCOPED_TRACE(absl::StrCat(target["name"].get<std::string>(), " ", layer["layer"].get<std::string>()));
    if (!layer["engine_measured"].get<bool>()) {
      EXPECT_THAT(layer["engine_note"].get<std::string>(), Not(Eq("")));
      continue;
    }
    if (layer["causes"]["engine_residual"]["changed"] == 0) continue;
    EXPECT_THAT(layer["engine_note"].get<std::string>(), HasSubstr("int16 pair saturation"));
  }
}

// The causes add up to the total: integers, so exactly.
void ExpectCausesAddUp(const json& target) {
  for (const json& layer : target["layers"]) {
    SCOPED_TRACE(layer["layer"].get<std::string>());
    std::int64_t sum = 0, cross = 0;
    for (const auto& [cause, statistics] : layer["causes"].items()) {
      if (cause == "total" || statistics.is_null()) continue;
      sum += statistics["sum"].get<std::int64_t>();
      cross += statistics["cross_total"].get<std::int64_t>();
    }
    EXPECT_EQ(sum, layer["causes"]["total"]["sum"].get<std::int64_t>());
    EXPECT_EQ(cross, layer["causes"]["total"]["sum_squares"].get<std::int64_t>());
  }
}

class AnalysisTest : public ::testing::Test {
 protected:
  static std::vector<std::string> Model(const std::string& name, bool converted) {
    std::vector<std::string> arguments = {"--qat", TestFile(name + "/qat.pt")};
    if (converted) arguments.insert(arguments.end(), {"--converted", TestFile(name + "/converted.pt")});
    return arguments;
  }
  static std::vector<std::string> Residual512() {
    std::vector<std::string> arguments = Model("residual_eager_x86", /*converted=*/true);
    arguments.insert(arguments.end(),
                     {"--samples", TestFile("samples/images_512.npz"), "--labels", TestFile("samples/labels_512.npy"),
                      "--target", "pytorch-fbgemm", "--target", "pytorch-qnnpack"});
    return arguments;
  }
  static std::vector<std::string> Plus(std::vector<std::string> arguments, const std::vector<std::string>& more) {
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  Workspace workspace_;
};

// One report of a private service, one of a server in two runs: what they must have in common.
TEST_F(AnalysisTest, ResidualNetOnBothTargetsPrivatelyAndOnAServer) {
  const json report = workspace_.Report(Residual512());
  ASSERT_FALSE(report.is_null());
  const json& statistics = report["statistics"];
  EXPECT_EQ(statistics["samples"], 512);
  EXPECT_EQ(statistics["labelled"], 512);
  EXPECT_EQ(statistics["mac_layers"], 11);
  ASSERT_THAT(statistics["targets"], SizeIs(2));
  for (const json& target : statistics["targets"]) {
    EXPECT_EQ(target["coverage"]["analysed"], 11);
    EXPECT_EQ(target["coverage"]["mac_layers"], 11);
    EXPECT_THAT(target["layers"], SizeIs(11));
    EXPECT_EQ(SumOf(target, "bias_saturation", "changed"), 0U);
    ExpectEngineAgrees(target);
    ExpectCausesAddUp(target);
    // Of 512: check.py's accuracies of the whole test set are 90.3 % and 90.2 %; five standard errors are 6.6 %.
    for (const json& accuracy : target["accuracies"]) {
      EXPECT_GT(accuracy["rate"].get<double>(), 0.83) << accuracy["path"];
    }
  }
  // A healthy pair: what is found explains numbers, and no more.
  EXPECT_THAT(Findings(report), ::testing::ElementsAre("QG007", "QG008", "QG009", "QG015", "QG021"));
  const json* fbgemm = FindTarget(report, "pytorch-fbgemm");
  const json* qnnpack = FindTarget(report, "pytorch-qnnpack");
  ASSERT_NE(fbgemm, nullptr);
  ASSERT_NE(qnnpack, nullptr);
  EXPECT_EQ(SumOf(*fbgemm, "bias_rounding", "changed"), 0U);
  EXPECT_GT(SumOf(*qnnpack, "bias_rounding", "changed"), 0U);
  ASSERT_THAT(report["verdicts"], SizeIs(2));
  for (const json& verdict : report["verdicts"]) {
    EXPECT_THAT(verdict["headline"].get<std::string>(), Not(Eq("")));
    EXPECT_THAT(verdict["sentences"], Not(SizeIs(0)));
  }

  Daemon daemon(workspace_, {"--runners=2"});
  const json first = workspace_.Report(Plus(Residual512(), {"--server", daemon.address(), "--parallel", "4"}));
  ASSERT_FALSE(first.is_null());
  EXPECT_EQ(first["statistics"].dump(), statistics.dump()) << "--parallel 4 and --parallel 1 differ";
  EXPECT_EQ(first["analysis"]["units"], 4);
  EXPECT_EQ(daemon.Metric("qatgap_samples_total"), 512);
  EXPECT_EQ(daemon.Metric("qatgap_layers_total"), 22);
  EXPECT_EQ(daemon.Metric("qatgap_runner_exits_total{reason=\"success\"}"), 4);
  EXPECT_GT(daemon.Metric("qatgap_runner_peak_bytes_sum"), 0);
  EXPECT_EQ(daemon.Stop(SIGTERM), 0);
}

// Every unit calibrates on the first batches, which it then reads once more or skips.
TEST_F(AnalysisTest, WhatIfsDoNotDependOnTheUnits) {
  Daemon daemon(workspace_, {"--runners=2"});
  const std::vector<std::string> arguments =
      Plus(Model("residual_eager_x86", true),
           {"--samples", TestFile("samples/images_512.npz"), "--max-samples", "60", "--batch-size", "10", "--target",
            "generic-int8", "--what-if", "--server", daemon.address()});
  const json one = workspace_.Report(Plus(arguments, {"--emit-bias", workspace_.Path("bias.json")}));
  const json three = workspace_.Report(Plus(arguments, {"--parallel", "3"}));
  ASSERT_FALSE(one.is_null());
  EXPECT_EQ(one["statistics"].dump(), three["statistics"].dump());
  const json& layer = one["statistics"]["targets"][0]["what_ifs"][0];
  EXPECT_EQ(layer["calibration_samples"], 60);
  EXPECT_GT(layer["rows"][0]["against_fake_quant"]["count"], 0);
  const json biases = json::parse(ReadFile(workspace_.Path("bias.json")));
  const json& stored = one["statistics"]["targets"][0]["layers"][0]["channels"]["bias_stored"];
  EXPECT_EQ(biases["targets"][0]["layers"][0]["stored"], stored);
}

// Views that keep more than sums: the same bytes whatever the units are.
TEST_F(AnalysisTest, SensitivitiesSamplesAndHeldOutSamplesDoNotDependOnTheUnits) {
  Daemon daemon(workspace_, {"--runners=2"});
  const std::vector<std::string> arguments =
      Plus(Model("residual_eager_x86", true),
           {"--samples", TestFile("samples/images_512.npz"), "--labels", TestFile("samples/labels_512.npy"), "--max-samples",
            "60", "--held-out", TestFile("samples/images_64.npy"), "--batch-size", "10", "--target", "generic-int8",
            "--sensitivity", "--worst-samples", "3", "--what-if", "--server", daemon.address()});
  const json one = workspace_.Report(arguments);
  const json four = workspace_.Report(Plus(arguments, {"--parallel", "4"}));
  ASSERT_FALSE(one.is_null());
  EXPECT_EQ(one["statistics"].dump(), four["statistics"].dump());
  const json& statistics = one["statistics"];
  const json& target = statistics["targets"][0];
  EXPECT_EQ(target["sensitivities"].size(), statistics["layers"].size());
  EXPECT_EQ(target["comparisons"][0]["worst_samples"].size(), 3U);
  EXPECT_EQ(statistics["samples"], 60);
  EXPECT_EQ(statistics["held_out"]["samples"], 64);
  EXPECT_EQ(statistics["held_out"]["labelled"], 0);
  EXPECT_EQ(one["inputs"]["held_out"]["name"], "images_64.npy");
  EXPECT_TRUE(target["comparisons"][0]["accuracy_difference"]["p_value"].is_number());
  EXPECT_EQ(statistics["input_ranges"][0]["count"], 60 * 28 * 28);
}

TEST_F(AnalysisTest, ASecondRunHasTheSameBytesAndThePrintedResultItsVerdict) {
  Daemon daemon(workspace_, {});
  const std::vector<std::string> arguments =
      Plus(Model("residual_fx_qnnpack_scripted", true), {"--samples", TestFile("samples/images_64.npy"), "--target",
                                                         "pytorch-qnnpack", "--server", daemon.address()});
  const json first = workspace_.Report(arguments), second = workspace_.Report(arguments);
  EXPECT_EQ(first["statistics"].dump(), second["statistics"].dump());
  const CommandResult printed = workspace_.Qatgap(Plus({"analyze", "--html", workspace_.Path("r.html")}, arguments));
  EXPECT_EQ(printed.exit_code, 0);
  // Lines are wrapped to the width of a terminal.
  EXPECT_THAT(absl::StrReplaceAll(printed.output, {{"\n", " "}}),
              HasSubstr(first["verdicts"][0]["headline"].get<std::string>()));
  EXPECT_THAT(printed.output, HasSubstr("100 %"));
  EXPECT_THAT(ReadFile(workspace_.Path("r.html")), HasSubstr("</html>"));
}

TEST_F(AnalysisTest, WithoutAConvertedModelTheQatModelIsLowered) {
  const json report = workspace_.Report(
      Plus(Model("residual_eager_qnnpack", false),
           {"--samples", TestFile("samples/images_64.npy"), "--target", "pytorch-qnnpack"}));
  ASSERT_FALSE(report.is_null());
  EXPECT_EQ(report["inputs"]["converted_model"], nullptr);
  EXPECT_EQ(report["statistics"]["converted_given"], false);
  const json& target = report["statistics"]["targets"][0];
  EXPECT_EQ(target["coverage"]["analysed"], 11);
  ExpectEngineAgrees(target);
  ExpectCausesAddUp(target);
}

TEST_F(AnalysisTest, ALayerBehindABranchHasOneRowPerInput) {
  const json report = workspace_.Report(
      Plus(Model("branching_eager_qnnpack_scripted", true),
           {"--samples", TestFile("samples/images_64.npy"), "--target", "pytorch-qnnpack"}));
  ASSERT_FALSE(report.is_null());
  const json& target = report["statistics"]["targets"][0];
  std::vector<std::uint64_t> samples;
  for (const json& layer : target["layers"]) {
    if (layer["layer"] == "conv3.0") samples.push_back(layer["samples"].get<std::uint64_t>());
  }
  // tests/models/README.md: 27 of the first 64 images take conv1.
  EXPECT_THAT(samples, AnyOf(Eq(std::vector<std::uint64_t>{27, 37}), Eq(std::vector<std::uint64_t>{37, 27})));
  EXPECT_THAT(Findings(report), ::testing::Contains("QG010"));
  EXPECT_EQ(target["coverage"]["analysed"], target["coverage"]["mac_layers"]);
  ExpectEngineAgrees(target);
}

TEST_F(AnalysisTest, ObserversLeftOnAreFrozenAndReported) {
  const json report = workspace_.Report(
      Plus(Model("residual_eager_x86_observers_on", false),
           {"--samples", TestFile("samples/images_64.npy"), "--target", "pytorch-fbgemm"}));
  ASSERT_FALSE(report.is_null());
  EXPECT_THAT(Findings(report), ::testing::Contains("QG005"));
  EXPECT_EQ(report["statistics"]["targets"][0]["coverage"]["analysed"], 11);
}

}  // namespace
}  // namespace qatgap::end_to_end
