// What verify, identify, inspect and handoff leave behind: JSON, directories, messages, through the real binaries.
#include <filesystem>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/end_to_end/workspace.h"

namespace qatgap::end_to_end {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kVectors[] = QATGAP_SOURCE_DIR "/tests/golden/vectors/";
constexpr char kTargets[] = QATGAP_SOURCE_DIR "/analyzers/numerics/targets/";

class TargetAnswersTest : public ::testing::Test {
 protected:
  json ReadJson(const std::string& name) const {
    return json::parse(ReadFile(workspace_.Path(name)), nullptr, /*allow_exceptions=*/false);
  }
  // A shipped description under a name of its own.
  std::string Renamed(const std::string& shipped, const std::string& name) const {
    std::string text = ReadFile(std::string(kTargets) + shipped + ".yaml");
    const std::string line = "name: " + shipped + "\n";
    EXPECT_THAT(text, HasSubstr(line));
    return workspace_.Write(name + ".yaml", text.replace(text.find(line), line.size(), "name: " + name + "\n"));
  }
  // One case of the golden vectors, to be changed.
  std::string CopyOfCase(const std::string& name) const {
    fs::create_directories(workspace_.Path("captures"));
    fs::copy(std::string(kVectors) + name, workspace_.Path("captures/case"));
    return workspace_.Path("captures");
  }

  Workspace workspace_;
};

TEST_F(TargetAnswersTest, VerifyShowsTheFirstDifferencesOfAWrongDescription) {
  const CommandResult result =
      workspace_.Qatgap({"target", "verify", "--target", Renamed("generic-int8", "my-device"), "--vectors",
                         std::string(kVectors) + "pytorch-qnnpack", "--json", workspace_.Path("v.json")});
  EXPECT_EQ(result.exit_code, 1) << result.errors;
  const json verification = ReadJson("v.json");
  EXPECT_EQ(verification["exact"], false);
  EXPECT_EQ(verification["target"]["name"], "my-device");
  EXPECT_THAT(verification["target"]["evidence"]["detail"].get<std::string>(), HasSubstr("user-defined"));
  bool traced = false;
  for (const json& outcome : verification["cases"]) {
    for (const json& mismatch : outcome["first"]) {
      EXPECT_NE(mismatch["expected"], mismatch["computed"]);
      traced = traced || mismatch["traced"].get<bool>();
    }
  }
  EXPECT_TRUE(traced);
}

TEST_F(TargetAnswersTest, BadVectorsNameCaseAndField) {
  const std::string captures = CopyOfCase("pytorch-qnnpack/accumulator_above_2_24");
  const std::string path = workspace_.Path("captures/case/case.json");
  const json good = json::parse(ReadFile(path));
  const auto refused = [&](const json& bad, const char* field) {
    workspace_.Write("captures/case/case.json", bad.dump());
    const CommandResult result =
        workspace_.Qatgap({"target", "verify", "--target", "pytorch-qnnpack", "--vectors", captures, "--quiet"});
    EXPECT_EQ(result.exit_code, 2) << field;
    EXPECT_THAT(result.errors, AllOf(HasSubstr("case"), HasSubstr(field)));
  };
  json bad = good;
  bad.erase("output");
  refused(bad, "output");
  bad = good;
  bad["input"]["scale"] = 0.0;
  refused(bad, "scale");
  bad = good;
  bad["input"]["dtype"] = "int8";
  refused(bad, "input");
}

TEST_F(TargetAnswersTest, IdentifyFindsTheRuntime) {
  const CommandResult result =
      workspace_.Qatgap({"target", "identify", "--vectors", std::string(kVectors) + "pytorch-qnnpack", "--propose",
                         workspace_.Path("next"), "--json", workspace_.Path("i.json"), "--quiet"});
  EXPECT_EQ(result.exit_code, 0) << result.output << result.errors;
  const json identification = ReadJson("i.json");
  EXPECT_THAT(identification["shipped"], Contains("pytorch-qnnpack"));
  EXPECT_EQ(fs::exists(workspace_.Path("next")), !identification["proposals"].empty());
  for (const json& proposal : identification["proposals"]) {
    const fs::path folder = fs::path(workspace_.Path("next")) / proposal["folder"].get<std::string>();
    EXPECT_TRUE(fs::exists(folder / "case.json")) << folder;
    EXPECT_FALSE(fs::exists(folder / "output.npy")) << folder;
  }
}

class HandoffFilesTest : public TargetAnswersTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(HandoffFilesTest, ItsVectorsVerify) {
  const std::string model = TestFile(std::string("residual_eager_qnnpack/") + GetParam() + ".pt");
  const std::string target = Renamed("generic-int32", "my-device");
  const std::vector<std::string> handoff = {"handoff", std::string(GetParam()) == "qat" ? "--qat" : "--converted", model,
                                            "--target", target, "--out", workspace_.Path("out")};
  CommandResult result = workspace_.Qatgap(handoff);
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_TRUE(fs::exists(workspace_.Path("out/README.md")));
  const std::string first = ReadFile(workspace_.Path("out/model.json"));
  result = workspace_.Qatgap({"target", "verify", "--target", target, "--vectors", workspace_.Path("out/layers")});
  EXPECT_EQ(result.exit_code, 0) << result.output << result.errors;

  EXPECT_EQ(workspace_.Qatgap(handoff).exit_code, 2) << "not empty";
  std::vector<std::string> again = handoff;
  again.push_back("--force");
  EXPECT_EQ(workspace_.Qatgap(again).exit_code, 0);
  EXPECT_EQ(ReadFile(workspace_.Path("out/model.json")), first);
}

INSTANTIATE_TEST_SUITE_P(Models, HandoffFilesTest, ::testing::Values("qat", "converted"),
                         [](const auto& model) { return std::string(model.param); });

TEST_F(TargetAnswersTest, HandoffOfTheWrongKindOfModel) {
  const CommandResult result =
      workspace_.Qatgap({"handoff", "--qat", TestFile("residual_eager_qnnpack/converted.pt"), "--target",
                         "generic-int32", "--out", workspace_.Path("out")});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.errors, HasSubstr("converted"));
  EXPECT_FALSE(fs::exists(workspace_.Path("out")));
}

TEST_F(TargetAnswersTest, InspectNeedsNoSamples) {
  const CommandResult result =
      workspace_.Qatgap({"inspect", "--qat", TestFile("residual_eager_x86/qat.pt"), "--converted",
                         TestFile("residual_eager_x86/converted.pt"), "--target", "generic-int8", "--target",
                         Renamed("generic-int16", "my-device"), "--json", workspace_.Path("i.json"), "--quiet"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, AllOf(HasSubstr("target generic-int8"), HasSubstr("target my-device")));
  const json inspection = ReadJson("i.json");
  ASSERT_EQ(inspection["targets"].size(), 2U);
  const json& channel = inspection["targets"][0]["layers"][0]["channels"][0];
  EXPECT_NE(channel["multiplier"], 0);
  EXPECT_NE(channel["bias"]["scale"], 0);
  EXPECT_TRUE(channel["causes"].empty());
}

TEST_F(TargetAnswersTest, AnAnalysisUnderATargetOfOnesOwn) {
  const json report = workspace_.Report({"--qat", TestFile("residual_eager_qnnpack/qat.pt"), "--samples",
                                         TestFile("samples/images_64.npy"), "--max-samples", "4", "--target",
                                         "generic-int16", "--target", Renamed("generic-int16", "my-device")});
  ASSERT_TRUE(report.is_object());
  const json& targets = report["statistics"]["targets"];
  ASSERT_EQ(targets.size(), 2U);
  EXPECT_EQ(targets[1]["name"], "my-device");
  EXPECT_EQ(targets[1]["evidence"]["kind"], "unverified");
  EXPECT_THAT(targets[1]["evidence"]["detail"].get<std::string>(), HasSubstr("user-defined"));
  EXPECT_EQ(targets[1]["digest"], targets[0]["digest"]);
  EXPECT_EQ(targets[1]["layers"], targets[0]["layers"]) << "equal digests, equal results";
}

TEST_F(TargetAnswersTest, ABadDescriptionNamesFileAndField) {
  const std::string path = workspace_.Write("bad.yaml", "name: bad\ntitle: Bad\nbiass: {}\n");
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"target", "show", path},
        {"handoff", "--qat", TestFile("residual_eager_qnnpack/qat.pt"), "--target", path, "--out", workspace_.Path("o")},
        {"inspect", "--qat", TestFile("residual_eager_qnnpack/qat.pt"), "--target", path}}) {
    const CommandResult result = workspace_.Qatgap(command);
    EXPECT_EQ(result.exit_code, 2) << command[0];
    EXPECT_THAT(result.errors, AllOf(HasSubstr("bad.yaml"), HasSubstr("biass"), Not(HasSubstr("description"))));
  }
}

}  // namespace
}  // namespace qatgap::end_to_end
