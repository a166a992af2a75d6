// `qatgap target verify`, `target identify`, `inspect`, `handoff` and own target files, end to end with the real binaries.
#include <filesystem>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/end_to_end/workspace.h"

namespace qatgap::end_to_end {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

namespace fs = std::filesystem;

std::string Vectors(const std::string& target) {
  return (fs::path(QATGAP_SOURCE_DIR) / "tests/golden/vectors" / target).string();
}

class TargetsTest : public ::testing::Test {
 protected:
  Workspace workspace_;
};

TEST_F(TargetsTest, AVerifiedTargetReproducesItsVectors) {
  const CommandResult result = workspace_.Qatgap({"target", "verify", "--target", "pytorch-x86", "--vectors", Vectors("pytorch-x86")});
  EXPECT_EQ(result.exit_code, 0) << result.output << result.errors;
  EXPECT_THAT(result.output, HasSubstr("bit for bit"));
}

TEST_F(TargetsTest, AnotherTargetDoesNotAndSaysWhere) {
  const CommandResult result =
      workspace_.Qatgap({"target", "verify", "--target", "tosa", "--vectors", Vectors("pytorch-x86")});
  EXPECT_EQ(result.exit_code, 1) << result.output << result.errors;
  EXPECT_THAT(result.output, AllOf(HasSubstr("the vectors say"), HasSubstr("the target gives")));
}

TEST_F(TargetsTest, ACaptureWithAPlantedErrorFails) {
  const fs::path copy = workspace_.Path("captures");
  fs::copy(Vectors("pytorch-x86"), copy, fs::copy_options::recursive);
  const fs::path output = fs::directory_iterator(copy)->path() / "output.npy";
  std::string bytes = ReadFile(output.string());
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  workspace_.Write("captures/" + fs::relative(output, copy).string(), bytes);
  const CommandResult result =
      workspace_.Qatgap({"target", "verify", "--target", "pytorch-x86", "--vectors", copy.string()});
  EXPECT_EQ(result.exit_code, 1) << result.output;
}

TEST_F(TargetsTest, BadVectorsAreInputErrors) {
  fs::create_directories(workspace_.Path("bad/case"));
  workspace_.Write("bad/case/case.json", "{\"op\": \"conv2d\"}");
  const CommandResult result =
      workspace_.Qatgap({"target", "verify", "--target", "pytorch-x86", "--vectors", workspace_.Path("bad")});
  EXPECT_EQ(result.exit_code, 2) << result.output << result.errors;
  EXPECT_THAT(result.errors, HasSubstr("case.json"));
}

TEST_F(TargetsTest, IdentifyFindsTheRuntime) {
  const CommandResult result = workspace_.Qatgap({"target", "identify", "--vectors", Vectors("pytorch-qnnpack")});
  EXPECT_EQ(result.exit_code, 0) << result.output << result.errors;
  EXPECT_THAT(result.output, HasSubstr("pytorch-qnnpack"));
}

TEST_F(TargetsTest, InspectNeedsNoSamples) {
  const CommandResult result =
      workspace_.Qatgap({"inspect", "--qat", TestFile("residual_eager_x86/qat.pt"), "--converted",
                         TestFile("residual_eager_x86/converted.pt"), "--target", "generic-int8", "--target", "vitis-dpu"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, AllOf(HasSubstr("QG020"), HasSubstr("QG007")));
}

TEST_F(TargetsTest, HandoffIsVerifiedByItsOwnVectors) {
  const std::string out = workspace_.Path("handoff");
  const CommandResult made = workspace_.Qatgap({"handoff", "--converted", TestFile("residual_eager_qnnpack/converted.pt"),
                                                "--target", "pytorch-qnnpack", "--out", out});
  ASSERT_EQ(made.exit_code, 0) << made.errors;
  EXPECT_TRUE(fs::exists(out + "/README.md"));
  const CommandResult verified =
      workspace_.Qatgap({"target", "verify", "--target", "pytorch-qnnpack", "--vectors", out});
  EXPECT_EQ(verified.exit_code, 0) << verified.output << verified.errors;
  const CommandResult again = workspace_.Qatgap({"handoff", "--converted", TestFile("residual_eager_qnnpack/converted.pt"),
                                                 "--target", "pytorch-qnnpack", "--out", out});
  EXPECT_EQ(again.exit_code, 2) << "a directory that is not empty is not overwritten";
}

TEST_F(TargetsTest, AnOwnTargetFileIsAnalysed) {
  std::string text = ReadFile((fs::path(QATGAP_SOURCE_DIR) / "analyzers/numerics/targets/generic-int16.yaml").string());
  text.replace(text.find("name: generic-int16"), 19, "name: my-device");
  const std::string file = workspace_.Write("my-device.yaml", text);
  const CommandResult shown = workspace_.Qatgap({"target", "show", file});
  EXPECT_EQ(shown.exit_code, 0) << shown.errors;
  const nlohmann::json report =
      workspace_.Report({"--qat", TestFile("residual_eager_x86/qat.pt"), "--samples", TestFile("samples/images_64.npy"),
                         "--max-samples", "8", "--target", file});
  ASSERT_FALSE(report.is_null());
  EXPECT_THAT(report.dump(), HasSubstr("\"my-device\""));
}

TEST_F(TargetsTest, ABrokenTargetFileNamesTheField) {
  const std::string file = workspace_.Write("broken.yaml", "name: broken\ntitle: x\n");
  const CommandResult result = workspace_.Qatgap({"target", "show", file});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.errors, HasSubstr("summary"));
}

}  // namespace
}  // namespace qatgap::end_to_end
