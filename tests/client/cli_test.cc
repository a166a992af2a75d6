// Commands against the services in memory, in this process.
#include <filesystem>

#include "tests/client/cli_fixture.h"

namespace qatgap::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::Ending;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

TEST_F(CliTest, AnalyzePrintsLayersAndVerdict) {
  EXPECT_EQ(Run(Analyze()), kExitDone) << err_.str();
  EXPECT_EQ(out_.str(),
            "target alpha\n"
            "\n"
            "layer            kind    outputs  changed %  max LSB  SQNR dB  causes\n"
            "features.0.conv  conv2d     1000       1.00        1     40.0  bias rounding 100 %\n"
            "features.1.conv  conv2d     1000          0        0    exact  -\n"
            "classifier       conv2d     1000        100        1     20.0  bias rounding 100 %\n"
            "\n"
            "The quantized bias changes 3 of 10 answers.\n"
            "  - Bias rounding explains 100 % of it.\n");
  EXPECT_EQ(err_.str(),
            "uploading model_qat.pt: 100 % (3 B of 3 B)\n"
            "uploading calib.npy: 100 % (7 B of 7 B)\n"
            "waiting for a runner\nrunning\n"
            "running: 1 % (1 of 100 samples)\nrunning: 50 % (50 of 100 samples)\n"
            "running: 100 % (100 of 100 samples)\n");
}

TEST_F(CliTest, AnalyzeSendsWhatWasAsked) {
  Write("int8.pt", "converted");
  Write("labels.npz", "labels");
  Write("apart.npy", "held out");
  EXPECT_EQ(Run(Analyze({"--target", "beta", "--converted", Path("int8.pt"), "--labels",
                         Path("labels.npz"), "--batch-size", "64", "--max-samples", "10",
                         "--parallel", "3", "--title", "night", "--what-if", "--sensitivity", "--worst-samples", "7",
                         "--held-out", Path("apart.npy"), "--held-out-labels", Path("labels.npz")})),
            kExitDone)
      << err_.str();
  ASSERT_THAT(fake_.created(), SizeIs(1));
  const v1::AnalysisSpec spec = fake_.created().front().spec();
  EXPECT_THAT(spec.targets(), ElementsAre("alpha", "beta"));
  EXPECT_EQ(spec.qat_model().name(), "model_qat.pt");
  EXPECT_EQ(spec.converted_model().name(), "int8.pt");
  EXPECT_EQ(spec.labels().name(), "labels.npz");
  EXPECT_EQ(fake_.artifacts().at(spec.samples().sha256()), "samples");
  EXPECT_EQ(spec.batch_size(), 64);
  EXPECT_EQ(spec.max_samples(), 10U);
  EXPECT_EQ(spec.parallel_units(), 3);
  EXPECT_EQ(spec.title(), "night");
  EXPECT_TRUE(spec.what_if());
  EXPECT_TRUE(spec.sensitivity());
  EXPECT_EQ(spec.worst_samples(), 7U);
  EXPECT_EQ(fake_.artifacts().at(spec.held_out().sha256()), "held out");
  EXPECT_EQ(spec.held_out_labels().name(), "labels.npz");
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("target alpha"), HasSubstr("target beta")));
}

TEST_F(CliTest, HeldOutSamplesAreOneFileWithoutAName) {
  Write("apart.npy", "held out");
  Write("labels.npz", "labels");
  const std::string named = std::string("x=").append(Path("apart.npy"));
  EXPECT_EQ(Run(Analyze({"--held-out", named})), kExitBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("--held-out takes one file without INPUT="));
  EXPECT_EQ(Run(Analyze({"--held-out-labels", Path("labels.npz")})), kExitBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("--held-out-labels without the samples they are of"));
  EXPECT_EQ(Run(Analyze({"--held-out", Path("nowhere.npy")})), kExitBadInput);
  EXPECT_THAT(fake_.created(), SizeIs(0));
}

TEST_F(CliTest, SamplesOfSeveralInputsAndAConvertedModelAlone) {
  Write("int8.pt", "converted");
  Write("mask.npz", "mask");
  std::filesystem::create_directory(Path("folder"));
  Write("folder/1.npy", "one");
  Write("folder/2.npy", "two");
  Write("folder/notes.txt", "no sample");
  const std::string ids = std::string("ids=").append(Path("calib.npy"));
  const std::string image = std::string("image=").append(Path("folder"));
  EXPECT_EQ(Run({"analyze", "--converted", Path("int8.pt"), "--samples", ids, "--samples", Path("mask.npz"), "--samples",
                 image, "--normalize", "image:mean=0.5,0.25,std=2,scale=1/4,axis=-1", "--target", "alpha", "--server", fake_.address()}),
            kExitDone)
      << err_.str();
  const v1::AnalysisSpec spec = fake_.created().front().spec();
  EXPECT_FALSE(spec.has_qat_model());
  EXPECT_FALSE(spec.has_samples());
  ASSERT_EQ(spec.sample_inputs_size(), 3);
  EXPECT_EQ(spec.sample_inputs(0).input_name(), "ids");
  EXPECT_EQ(spec.sample_inputs(0).file().name(), "calib.npy");
  EXPECT_EQ(spec.sample_inputs(1).input_name(), "");
  EXPECT_EQ(spec.sample_inputs(1).file().name(), "mask.npz");
  EXPECT_EQ(spec.sample_inputs(2).file().name(), "folder.zip");
  const std::string packed = fake_.artifacts().at(spec.sample_inputs(2).file().sha256());
  EXPECT_THAT(packed, AllOf(HasSubstr("1.npy"), HasSubstr("one"), HasSubstr("2.npy"), Not(HasSubstr("no sample"))));
  ASSERT_EQ(spec.normalizations_size(), 1);
  EXPECT_EQ(spec.normalizations(0).input_name(), "image");
  EXPECT_THAT(spec.normalizations(0).mean(), ElementsAre(0.5, 0.25));
  EXPECT_THAT(spec.normalizations(0).std(), ElementsAre(2));
  EXPECT_EQ(spec.normalizations(0).scale(), 0.25);
  EXPECT_EQ(spec.normalizations(0).channel_axis(), -1);
}

// A folder is packed with nothing of it but names and bytes: what the service has is not sent again.
TEST_F(CliTest, EqualFoldersAreEqualArtifacts) {
  std::vector<std::string> digests;
  for (const char* parent : {"a", "b"}) {
    std::filesystem::create_directories(Path(parent) + "/calib");
    Write(std::string(parent) + "/calib/1.npy", "one");
    EXPECT_EQ(Run({"analyze", "--qat", Path("model_qat.pt"), "--samples", Path(parent) + "/calib", "--target", "alpha",
                   "--server", fake_.address()}),
              kExitDone)
        << err_.str();
    digests.push_back(fake_.created().back().spec().samples().sha256());
  }
  EXPECT_EQ(digests[0], digests[1]);
}

TEST_F(CliTest, AnalyzeWritesReports) {
  Write("report.json", "old");
  EXPECT_EQ(Run(Analyze({"--json", Path("report.json"), "--html", Path("report.html"), "--markdown",
                         Path("report.md")})),
            kExitDone);
  EXPECT_EQ(Read("report.json"), "report 1");
  EXPECT_EQ(Read("report.html"), "report 2");
  EXPECT_EQ(Read("report.md"), "report 3");
  EXPECT_THAT(err_.str(), HasSubstr("wrote " + Path("report.html")));
}

TEST_F(CliTest, AFailedDownloadLeavesTheOldFileAndNoTemporary) {
  Write("report.json", "old");
  fake_.Fail("GetReport", {grpc::StatusCode::INTERNAL, "disk on fire"});
  EXPECT_EQ(Run(Analyze({"--json", Path("report.json")})), kExitFailed);
  EXPECT_EQ(Read("report.json"), "old");
  int files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory_))
    ++files;
  EXPECT_EQ(files, 3);
}

TEST_F(CliTest, QuietPrintsHeadlinesOnly) {
  EXPECT_EQ(Run(Analyze({"--quiet"})), kExitDone);
  EXPECT_EQ(out_.str(), "alpha: The quantized bias changes 3 of 10 answers.\n");
  EXPECT_EQ(err_.str(), "");
}

TEST_F(CliTest, DetachPrintsTheIdAndDoesNotWait) {
  EXPECT_EQ(Run(Analyze({"--detach"})), kExitDone);
  EXPECT_EQ(out_.str(), "a1\n");
  EXPECT_EQ(fake_.calls("WatchAnalysis"), 0);
}

TEST_F(CliTest, TrackIsSent) {
  EXPECT_EQ(Run(Analyze({"--track", "residual-net_2.1"})), kExitDone);
  ASSERT_EQ(fake_.created().size(), 1U);
  EXPECT_EQ(fake_.created()[0].spec().track(), "residual-net_2.1");
}

TEST_F(CliTest, BadInputIsToldBeforeConnecting) {
  Write("empty.npy", "");
  Write("calib.txt", "x");
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--converted", Path("missing.pt")}, "no such converted model file"},
      {{"--labels", Path("empty.npy")}, "the labels file is empty"},
      {{"--labels", Path("calib.txt")}, "not a .npy, .npz or .safetensors file"},
      {{"--target", "alpha"}, "--target is given twice (alpha)"},
      {{"--json", Path("no/report.json")}, "the directory of --json does not exist"},
      {{"--html", directory_}, "--html does not name a regular file"},
      {{"--markdown", Path("model_qat.pt")}, "--markdown would overwrite an input file"},
      {{"--json", Path("r"), "--html", Path("r")}, "--json and --html name the same file"},
      {{"--title", std::string(201, 'x')}, "--title is too long (201 bytes, at most 200)"},
      {{"--track", "my net"}, "--track must be 1 to 64 of A-Z a-z 0-9 _ . - ('my net')"},
      {{"--track", std::string(65, 'x')}, "--track must be 1 to 64"},
      {{"--detach", "--json", Path("r")}, "--detach does not wait"},
      {{"--batch-size", "0"}, "--batch-size"},
      {{"--parallel", "65"}, "--parallel"},
      {{"--bogus"}, "--bogus"},
  };
  for (const auto& [arguments, message] : cases) {
    EXPECT_EQ(Run(Analyze(arguments)), kExitBadInput) << message;
    EXPECT_THAT(err_.str(), AllOf(StartsWith("error: "), HasSubstr(message)));
    EXPECT_EQ(out_.str(), "");
  }
  EXPECT_EQ(fake_.calls("GetTarget"), 0);
  EXPECT_EQ(fake_.calls("GetArtifact"), 0);
}

TEST_F(CliTest, UnknownTargetIsToldBeforeUploading) {
  EXPECT_EQ(Run(Analyze({"--target", "alhpa"})), kExitBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("no target 'alhpa'; the nearest is 'alpha'"));
  EXPECT_EQ(fake_.calls("GetArtifact"), 0);
}

TEST_F(CliTest, RpcErrorsBecomeExitCodes) {
  const std::vector<std::pair<grpc::StatusCode, int>> cases = {
      {grpc::StatusCode::INVALID_ARGUMENT, kExitBadInput},
      {grpc::StatusCode::NOT_FOUND, kExitBadInput},
      {grpc::StatusCode::FAILED_PRECONDITION, kExitBadInput},
      {grpc::StatusCode::RESOURCE_EXHAUSTED, kExitFailed},
      {grpc::StatusCode::INTERNAL, kExitFailed},
      {grpc::StatusCode::UNAVAILABLE, kExitFailed},
      {grpc::StatusCode::UNIMPLEMENTED, kExitFailed},
      {grpc::StatusCode::CANCELLED, kExitFailed},
  };
  for (const auto& [code, exit_code] : cases) {
    fake_.Fail("CreateAnalysis", {code, "because"});
    EXPECT_EQ(Run(Analyze()), exit_code) << code;
    EXPECT_THAT(err_.str(), AllOf(HasSubstr("error: "), HasSubstr("because")));
  }
}

TEST_F(CliTest, AFailedAnalysisHasItsErrorsExitCode) {
  for (const auto& [code, exit_code] :
       {std::pair{3, kExitBadInput}, {9, kExitBadInput}, {8, kExitFailed}, {13, kExitFailed}}) {
    fake_.set_failure(code, "the models cannot be paired");
    EXPECT_EQ(Run(Analyze()), exit_code) << code;
    EXPECT_THAT(err_.str(), HasSubstr("error: the analysis failed: the models cannot be paired"));
  }
}

TEST_F(CliTest, HostileTextDoesNotReachTheTerminal) {
  fake_.set_layer_name("\x1b]0;owned\x07\nfake line");
  EXPECT_EQ(Run(Analyze()), kExitDone);
  EXPECT_THAT(out_.str(), HasSubstr("\\x1b]0;owned\\x07\\x0afake line"));
  fake_.set_failure(13, "\x1b[2J");
  EXPECT_EQ(Run(Analyze()), kExitFailed);
  EXPECT_THAT(err_.str(), AllOf(HasSubstr("\\x1b[2J"), Not(HasSubstr("\x1b"))));
}

TEST_F(CliTest, ListFollowsPages) {
  EXPECT_EQ(Run({"list", "--server", fake_.address()}), kExitDone);
  EXPECT_THAT(
      out_.str(),
      StartsWith("id  state      created               samples  model         targets  track  title\n"
                 "a5  succeeded  2023-11-14T22:13:20Z        -  model_qat.pt  alpha\n"));
  EXPECT_THAT(out_.str(), HasSubstr("\na1  succeeded"));
  EXPECT_EQ(Run({"list", "--limit", "1", "--server", fake_.address()}), kExitDone);
  EXPECT_THAT(out_.str(), Not(HasSubstr("a4")));
}

TEST_F(CliTest, ServerComesFromTheEnvironment) {
  ::setenv("QATGAP_SERVER", fake_.address().c_str(), 1);
  EXPECT_EQ(Run({"list"}), kExitDone) << err_.str();
  ::unsetenv("QATGAP_SERVER");
}

TEST_F(CliTest, CommandsOnKeptAnalysesNeedAService) {
  for (const char* command : {"list", "get", "watch", "cancel", "delete"}) {
    std::vector<std::string> arguments = {command};
    if (arguments[0] != "list") arguments.push_back("a1");
    EXPECT_EQ(Run(arguments), kExitBadInput);
    EXPECT_EQ(err_.str(),
              "error: no service is named, and a private server keeps nothing after its call\n"
              "remedy: pass --server ADDR or set QATGAP_SERVER\n");
  }
}

TEST_F(CliTest, GetShowsAnAnalysisAndWritesReports) {
  EXPECT_EQ(Run({"get", "a7", "--server", fake_.address(), "--json", Path("r.json")}), kExitDone);
  EXPECT_THAT(out_.str(), AllOf(StartsWith("analysis   a7\nstate      succeeded\n"),
                                HasSubstr("The quantized bias changes")));
  EXPECT_EQ(Read("r.json"), "report 1");
}

TEST_F(CliTest, GetOfARunningAnalysisHasNoReport) {
  EXPECT_EQ(Run({"get", "running", "--server", fake_.address()}), kExitDone);
  EXPECT_EQ(Run({"get", "running", "--server", fake_.address(), "--json", Path("r.json")}),
            kExitBadInput);
  EXPECT_THAT(err_.str(), AllOf(HasSubstr("has no report (running is running)"),
                                HasSubstr("remedy: wait for it with: qatgap watch running")));
  EXPECT_FALSE(std::filesystem::exists(Path("r.json")));
}

TEST_F(CliTest, WatchCancelDelete) {
  EXPECT_EQ(Run({"watch", "a1", "--server", fake_.address()}), kExitDone);
  EXPECT_THAT(out_.str(), HasSubstr("The quantized bias changes"));
  EXPECT_EQ(Run({"cancel", "a1", "--server", fake_.address()}), kExitDone);
  EXPECT_EQ(err_.str(), "a1: cancelled\n");
  EXPECT_EQ(Run({"delete", "a1", "--server", fake_.address()}), kExitDone);
  EXPECT_EQ(err_.str(), "a1: deleted\n");
  EXPECT_THAT(fake_.deleted(), ElementsAre("a1"));
}

TEST_F(CliTest, TargetListAndShow) {
  EXPECT_EQ(Run({"target", "list", "--server", fake_.address()}), kExitDone);
  EXPECT_EQ(out_.str(),
            "target  bias     evidence  engine  title\n"
            "alpha   integer  verified  -       Title of alpha\n"
            "beta    integer  verified  -       Title of beta\n"
            "gamma   integer  verified  -       Title of gamma\n");
  EXPECT_EQ(Run({"target", "show", "alpha", "--server", fake_.address()}), kExitDone);
  EXPECT_THAT(out_.str(),
              AllOf(StartsWith("alpha  Title of alpha\n\ny = x\n"), EndsWith("\n  indented formula\n")));
}

TEST_F(CliTest, EveryCommandHasExamplesInItsHelp) {
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{},
                                             {"analyze"},
                                             {"list"},
                                             {"get"},
                                             {"watch"},
                                             {"cancel"},
                                             {"delete"},
                                             {"target"},
                                             {"target", "list"},
                                             {"target", "show"}}) {
    std::vector<std::string> arguments = command;
    arguments.push_back("--help");
    EXPECT_EQ(Run(arguments), kExitDone);
    EXPECT_THAT(out_.str(), HasSubstr("Examples:\n  "));
    EXPECT_EQ(err_.str(), "");
  }
  EXPECT_EQ(Run({"--help"}), kExitDone);
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("  0    done"), HasSubstr("  2    usage"),
                                HasSubstr("  4    the service"), HasSubstr("  130  interrupted")));
}

TEST_F(CliTest, VersionAndUsage) {
  EXPECT_EQ(Run({"--version"}), kExitDone);
  EXPECT_THAT(out_.str(), StartsWith("qatgap "));
  EXPECT_EQ(Run({}), kExitBadInput);
  EXPECT_EQ(Run({"target"}), kExitBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("remedy: see qatgap target --help"));
}

TEST_F(CliTest, APrivateServerServesTheCallAndLeavesNothing) {
  qatgapd_ = std::string(QATGAP_BIN_DIR) + "/fake_qatgapd";
  ::setenv("TMPDIR", directory_.c_str(), 1);
  EXPECT_EQ(Run({"target", "list"}), kExitDone) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("Title of beta"));
  ::unsetenv("TMPDIR");
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    EXPECT_THAT(entry.path().filename().string(), Not(StartsWith("qatgap.")));
  }
}

TEST_F(CliTest, APrivateServerThatDoesNotStartShowsItsLog) {
  Write("broken", "#!/bin/sh\necho 'no runner here' >&2\nexit 3\n");
  std::filesystem::permissions(Path("broken"), std::filesystem::perms::owner_all);
  qatgapd_ = Path("broken");
  EXPECT_EQ(Run({"target", "list"}), kExitFailed);
  EXPECT_EQ(err_.str(),
            "error: the private server did not start (exit code 3)\n  | no runner here\n");
  qatgapd_ = "/nonexistent/qatgapd";
  EXPECT_EQ(Run({"target", "list"}), kExitFailed);
  EXPECT_THAT(err_.str(), HasSubstr("remedy: put qatgapd beside qatgap"));
}

TEST_F(CliTest, APrivateServerThatCrashesShowsItsLog) {
  qatgapd_ = std::string(QATGAP_BIN_DIR) + "/fake_qatgapd";
  for (const char* rpc : {"ListTargets", "GetTarget", "CreateAnalysis", "WatchAnalysis"}) {
    ::setenv("FAKE_QATGAPD_CRASH_UPON", rpc, 1);
    if (std::string(rpc) == "ListTargets") {
      EXPECT_EQ(Run({"target", "list"}), kExitFailed);
    } else {
      EXPECT_EQ(Run({"analyze", "--qat", Path("model_qat.pt"), "--samples", Path("calib.npy"),
                     "--target", "alpha"}),
                kExitFailed);
    }
    EXPECT_THAT(err_.str(), HasSubstr("error: the private server ended during the call (exit code "
                                      "70)\n  | out of luck\n"));
  }
  ::unsetenv("FAKE_QATGAPD_CRASH_UPON");
}

TEST_F(CliTest, AnalyzeWorksWithAPrivateServer) {
  qatgapd_ = std::string(QATGAP_BIN_DIR) + "/fake_qatgapd";
  EXPECT_EQ(Run({"analyze", "--qat", Path("model_qat.pt"), "--samples", Path("calib.npy"),
                 "--target", "alpha", "--parallel", "2"}),
            kExitDone);
  EXPECT_THAT(out_.str(), HasSubstr("The quantized bias changes 3 of 10 answers."));
}

TEST_F(CliTest, TrackNeedsAService) {
  EXPECT_EQ(Run({"analyze", "--qat", Path("model_qat.pt"), "--samples", Path("calib.npy"),
                 "--target", "alpha", "--track", "net"}),
            kExitBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("--track needs a service that lasts"));
}

TEST_F(CliTest, DetachNeedsAService) {
  EXPECT_EQ(Run({"analyze", "--qat", Path("model_qat.pt"), "--samples", Path("calib.npy"),
                 "--target", "alpha", "--detach"}),
            kExitBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("--detach needs a service that lasts"));
}

}  // namespace
}  // namespace qatgap::cli
