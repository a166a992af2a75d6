// target verify, identify, show FILE; inspect; handoff; analyze with a target file.
#include "tests/client/cli_fixture.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "tests/client/zip_of.h"

namespace qatgap::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class TargetCommandsTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    std::filesystem::create_directories(Path("captures/conv"));
    Write("captures/conv/case.json", "{}");
    Write("captures/conv/input.npy", "codes");
    Write("mine.yaml", kMine);
  }
  int RunWithServer(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--server", fake_.address()});
    return Run(arguments);
  }
  int Verify(const std::string& target, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"target", "verify", "--target", target, "--vectors", Path("captures")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunWithServer(arguments);
  }
  int Handoff(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"handoff", "--qat", Path("model_qat.pt"), "--target", "alpha",
                                          "--out",   Path("out")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunWithServer(arguments);
  }
  nlohmann::json Json(const std::string& name) {
    return nlohmann::json::parse(Read(name), nullptr, /*allow_exceptions=*/false);
  }

  static constexpr char kMine[] = "name: mine\n";
};

TEST_F(TargetCommandsTest, VerifyExitsWithTheOutcome) {
  EXPECT_EQ(Verify("alpha"), kExitDone) << err_.str();
  EXPECT_EQ(out_.str(), "12 elements\n\\x1b[31mred\n") << "and made harmless";
  EXPECT_EQ(fake_.verified().target().name(), "alpha");
  EXPECT_EQ(fake_.verified().vectors().name(), "captures.zip");
  EXPECT_THAT(fake_.artifacts().at(fake_.verified().vectors().sha256()), StartsWith("PK"));
  fake_.set_exact(false);
  EXPECT_EQ(Verify("alpha", {"--json", Path("v.json"), "--quiet"}), kExitNotExact);
  EXPECT_THAT(err_.str(), IsEmpty());
  const nlohmann::json json = Json("v.json");
  EXPECT_EQ(json["exact"], false);
  EXPECT_EQ(json["elements"], 12);
  EXPECT_EQ(json["cases"][0]["mismatches"], 3);
  EXPECT_FALSE(json.contains("text"));
}

TEST_F(TargetCommandsTest, VerifyTakesAFile) {
  EXPECT_EQ(Verify(Path("mine.yaml")), kExitDone) << err_.str();
  EXPECT_EQ(fake_.verified().target().description(), kMine);
  Write("bad.yaml", "title: x\n");
  EXPECT_EQ(Verify(Path("bad.yaml")), kExitBadInput);
  EXPECT_THAT(err_.str(), StartsWith(absl::StrCat("error: ", Path("bad.yaml"), ": name: is required")));
  EXPECT_EQ(fake_.calls("VerifyTarget"), 1);
}

TEST_F(TargetCommandsTest, VerifyRefusesBadInputBeforeAnythingIsSent) {
  EXPECT_EQ(Verify("delta"), kExitBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("the nearest is 'alpha'"));
  EXPECT_EQ(Verify(Path("missing.yaml")), kExitBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("no such target file"));
  EXPECT_EQ(Verify("alpha", {"--json", Path("no/v.json")}), kExitBadInput);
  EXPECT_EQ(RunWithServer({"target", "verify", "--target", "alpha", "--vectors", Path("nowhere")}), kExitBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("no such directory of vectors"));
  std::filesystem::create_directories(Path("empty"));
  EXPECT_EQ(RunWithServer({"target", "verify", "--target", "alpha", "--vectors", Path("empty")}), kExitBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("holds no case.json"));
  EXPECT_EQ(RunWithServer({"target", "verify", "--target", "alpha"}), kExitBadInput);
  EXPECT_EQ(fake_.calls("UploadArtifact"), 0);
}

TEST_F(TargetCommandsTest, VerifyTellsErrorsOfTheServiceApart) {
  fake_.Fail("VerifyTarget", {grpc::StatusCode::INVALID_ARGUMENT, "case conv: field weight.scales: nan"});
  EXPECT_EQ(Verify("alpha"), kExitBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("weight.scales"));
  fake_.Fail("VerifyTarget", {grpc::StatusCode::INTERNAL, "the verification failed"});
  EXPECT_EQ(Verify("alpha"), kExitFailed);
  fake_.set_exact(false);
  fake_.Fail("VerifyTarget", {grpc::StatusCode::RESOURCE_EXHAUSTED, "too long"});
  EXPECT_EQ(Verify("alpha"), kExitFailed);
}

TEST_F(TargetCommandsTest, IdentifyExitsWithTheOutcome) {
  const std::vector<std::string> identify = {"target", "identify", "--vectors", Path("captures"), "--json",
                                             Path("i.json")};
  EXPECT_EQ(RunWithServer(identify), kExitDone) << err_.str();
  EXPECT_EQ(out_.str(), "alpha fits\n");
  EXPECT_THAT(Json("i.json")["shipped"], ElementsAre("alpha"));
  fake_.set_exact(false);
  EXPECT_EQ(RunWithServer(identify), kExitNotExact);
}

TEST_F(TargetCommandsTest, IdentifyWritesProposals) {
  fake_.set_archive(testing::ZipOf({{"proposal_1/case.json", "{}"}, {"proposal_1/input.npy", "codes"}}));
  const std::vector<std::string> identify = {"target", "identify", "--vectors", Path("captures")};
  EXPECT_EQ(RunWithServer(identify), kExitDone);
  EXPECT_THAT(err_.str(), HasSubstr("--propose DIR"));
  std::vector<std::string> propose = identify;
  propose.insert(propose.end(), {"--propose", Path("next"), "--json", Path("i.json")});
  EXPECT_EQ(RunWithServer(propose), kExitDone) << err_.str();
  EXPECT_EQ(Read("next/proposal_1/input.npy"), "codes");
  EXPECT_EQ(Json("i.json")["proposals"][0]["folder"], "proposal_1");
  EXPECT_FALSE(Json("i.json").contains("proposed_vectors"));
  EXPECT_EQ(RunWithServer(propose), kExitBadInput) << "not empty any more";
  EXPECT_THAT(err_.str(), AllOf(HasSubstr("--propose"), HasSubstr("--force")));
  propose.push_back("--force");
  EXPECT_EQ(RunWithServer(propose), kExitDone) << err_.str();
  propose = identify;
  propose.push_back("--force");
  EXPECT_EQ(RunWithServer(propose), kExitBadInput);
}

TEST_F(TargetCommandsTest, IdentifyWithNothingToPropose) {
  EXPECT_EQ(RunWithServer({"target", "identify", "--vectors", Path("captures"), "--propose", Path("next")}), kExitDone);
  EXPECT_THAT(err_.str(), HasSubstr("nothing to propose"));
  EXPECT_FALSE(std::filesystem::exists(Path("next")));
}

TEST_F(TargetCommandsTest, ShowTakesAFile) {
  EXPECT_EQ(RunWithServer({"target", "show", Path("mine.yaml")}), kExitDone) << err_.str();
  EXPECT_THAT(out_.str(), StartsWith("mine  Title of mine\n"));
}

TEST_F(TargetCommandsTest, AnalyzeTakesAFile) {
  EXPECT_EQ(Run(Analyze({"--target", Path("mine.yaml")})), kExitDone) << err_.str();
  ASSERT_EQ(fake_.created().size(), 1U);
  EXPECT_THAT(fake_.created()[0].spec().targets(), ElementsAre("alpha"));
  EXPECT_THAT(fake_.created()[0].spec().target_descriptions(), ElementsAre(kMine));
  EXPECT_EQ(RunWithServer({"get", "a1"}), kExitDone);
  EXPECT_THAT(out_.str(), HasSubstr("alpha, 1 of your own"));
}

TEST_F(TargetCommandsTest, AnalyzeTellsABadFileBeforeAnythingIsSent) {
  Write("bad.yml", "title: x\n");
  EXPECT_EQ(Run(Analyze({"--target", Path("bad.yml")})), kExitBadInput);
  EXPECT_THAT(err_.str(), HasSubstr(absl::StrCat(Path("bad.yml"), ": name")));
  EXPECT_EQ(Run(Analyze({"--target", "alpha"})), kExitBadInput) << "twice";
  EXPECT_THAT(fake_.artifacts(), IsEmpty());
}

TEST_F(TargetCommandsTest, InspectSendsTheModelsAndTargets) {
  Write("int8.pt", "converted");
  EXPECT_EQ(RunWithServer({"inspect", "--qat", Path("model_qat.pt"), "--converted", Path("int8.pt"), "--target", "alpha",
                           "--target", Path("mine.yaml"), "--json", Path("i.json")}),
            kExitDone)
      << err_.str();
  EXPECT_EQ(out_.str(), "1 finding\n") << "findings are a result";
  EXPECT_EQ(fake_.inspected().qat_model().name(), "model_qat.pt");
  EXPECT_EQ(fake_.inspected().converted_model().name(), "int8.pt");
  ASSERT_EQ(fake_.inspected().targets_size(), 2);
  EXPECT_EQ(fake_.inspected().targets(0).name(), "alpha");
  EXPECT_EQ(fake_.inspected().targets(1).description(), kMine);
  EXPECT_EQ(Json("i.json")["findings"][0]["severity"], "error");
}

TEST_F(TargetCommandsTest, InspectNeedsNoTarget) {
  EXPECT_EQ(RunWithServer({"inspect", "--qat", Path("model_qat.pt")}), kExitDone) << err_.str();
  EXPECT_FALSE(fake_.inspected().has_converted_model());
  EXPECT_EQ(fake_.inspected().targets_size(), 0);
  fake_.Fail("InspectModel", {grpc::StatusCode::FAILED_PRECONDITION, "no layer"});
  EXPECT_EQ(RunWithServer({"inspect", "--qat", Path("model_qat.pt")}), kExitBadInput);
  EXPECT_EQ(RunWithServer({"inspect", "--qat", Path("none.pt")}), kExitBadInput);
}

TEST_F(TargetCommandsTest, HandoffWritesTheDirectory) {
  fake_.set_archive(testing::ZipOf({{"README.md", "read"}, {"layers/00_conv/case.json", "{}"}}));
  EXPECT_EQ(Handoff(), kExitDone) << err_.str();
  EXPECT_THAT(out_.str(), StartsWith("wrote 2 files to "));
  EXPECT_EQ(Read("out/layers/00_conv/case.json"), "{}");
  EXPECT_EQ(fake_.handed_off().qat_model().name(), "model_qat.pt");
  EXPECT_EQ(fake_.handed_off().target().name(), "alpha");
  EXPECT_EQ(Handoff(), kExitBadInput) << "not empty any more";
  EXPECT_THAT(err_.str(), HasSubstr("is not empty"));
  EXPECT_EQ(fake_.calls("CreateHandoff"), 1);
  fake_.set_archive(testing::ZipOf({{"README.md", "anew"}}));
  EXPECT_EQ(Handoff({"--force"}), kExitBadInput) << "layers: not known to be ours";
  EXPECT_EQ(Read("out/README.md"), "read");
  fake_.set_archive(testing::ZipOf({{"README.md", "anew"}, {"layers/00_fc/case.json", "{}"}}));
  EXPECT_EQ(Handoff({"--force"}), kExitDone) << err_.str();
  EXPECT_EQ(Read("out/README.md"), "anew");
  EXPECT_FALSE(std::filesystem::exists(Path("out/layers/00_conv"))) << "nothing of the earlier one is left among it";
}

TEST_F(TargetCommandsTest, HandoffIsOfOneModel) {
  EXPECT_EQ(Handoff({"--converted", Path("model_qat.pt")}), kExitBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("two models"));
  EXPECT_EQ(RunWithServer({"handoff", "--target", "alpha", "--out", Path("out")}), kExitBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("no model"));
  fake_.set_archive(testing::ZipOf({{"README.md", "read"}}));
  EXPECT_EQ(RunWithServer({"handoff", "--converted", Path("model_qat.pt"), "--target", Path("mine.yaml"), "--out",
                           Path("out")}),
            kExitDone)
      << err_.str();
  EXPECT_TRUE(fake_.handed_off().has_converted_model());
}

TEST_F(TargetCommandsTest, AHostileArchiveWritesNothing) {
  for (const char* path : {"../evil", "/tmp/evil", "a/../../evil", "a\\evil", "a//b", "./a", "a/"}) {
    fake_.set_archive(testing::ZipOf({{"fine", "x"}, {path, "x"}}));
    EXPECT_EQ(Handoff(), kExitFailed) << path;
    EXPECT_FALSE(std::filesystem::exists(Path("out"))) << path;
    EXPECT_FALSE(std::filesystem::exists(Path("evil"))) << path;
  }
  fake_.set_archive("no archive");
  EXPECT_EQ(Handoff(), kExitFailed);
  fake_.set_archive("");
  EXPECT_EQ(Handoff(), kExitFailed);
  EXPECT_FALSE(std::filesystem::exists(Path("out")));
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    EXPECT_THAT(entry.path().filename().string(), Not(StartsWith("out")));
  }
}

TEST_F(TargetCommandsTest, AFailedHandoffLeavesNothing) {
  fake_.Fail("CreateHandoff", {grpc::StatusCode::FAILED_PRECONDITION, "layer fc: M >= 1"});
  EXPECT_EQ(Handoff(), kExitBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("layer fc"));
  EXPECT_FALSE(std::filesystem::exists(Path("out")));
}

}  // namespace
}  // namespace qatgap::cli
