// Processes that end when they should not: what becomes of analyses and of the server.
#include <signal.h>

#include <memory>
#include <string>

#include "client/lib/client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/end_to_end/workspace.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::end_to_end {
namespace {

using client::Client;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class FailuresTest : public ::testing::Test {
 protected:
  static std::unique_ptr<Client> Connect(const Daemon& daemon) {
    auto client = Client::Connect({.address = daemon.address()});
    EXPECT_THAT(client, testing::IsOk());
    return *std::move(client);
  }

  // An analysis of one unit that takes seconds: time to do something to it.
  static std::string Create(Client& client) {
    v1::AnalysisSpec spec;
    const auto upload = [&](const std::string& name, v1::ArtifactRef* artifact) {
      auto uploaded = client.Upload(TestFile(name));
      EXPECT_THAT(uploaded, testing::IsOk());
      if (uploaded.ok()) *artifact = uploaded->artifact;
    };
    upload("residual_eager_x86/qat.pt", spec.mutable_qat_model());
    upload("residual_eager_x86/converted.pt", spec.mutable_converted_model());
    upload("samples/images_512.npz", spec.mutable_samples());
    spec.add_targets("pytorch-fbgemm");
    spec.add_targets("pytorch-qnnpack");
    spec.set_batch_size(4);
    auto created = client.Create(spec);
    EXPECT_THAT(created, testing::IsOk());
    return created.ok() ? created->id() : "";
  }

  // Follows the analysis; once samples were run, `act` is called with the runner's process.
  static v1::Analysis ActInTheMiddle(Client& client, const Daemon& daemon, const std::string& id,
                                     const std::function<void(pid_t)>& act) {
    bool acted = false;
    auto ended = client.Watch(id, [&](const v1::WatchAnalysisResponse& event) {
      const std::uint64_t done = event.has_analysis() ? event.analysis().progress().samples_done()
                                                      : event.progress().samples_done();
      if (acted || done == 0) return;
      acted = true;
      const auto runners = daemon.Runners();
      ASSERT_THAT(runners, SizeIs(1));
      act(runners[0]);
    });
    EXPECT_TRUE(acted);
    return ended.ok() ? *std::move(ended) : v1::Analysis();
  }

  Workspace workspace_;
};

TEST_F(FailuresTest, AfterAKillOfTheServerTheAnalysisIsRunAnew) {
  std::string id;
  {
    Daemon daemon(workspace_, {});
    auto options = client::ConnectOptions{.address = daemon.address()};
    options.reconnect_limit = std::chrono::milliseconds(0);
    auto client = Client::Connect(options);
    ASSERT_THAT(client, testing::IsOk());
    id = Create(**client);
    std::unique_ptr<ProcessHandle> runner;
    ActInTheMiddle(**client, daemon, id, [&](pid_t pid) {
      runner = std::make_unique<ProcessHandle>(pid);
      EXPECT_EQ(daemon.Stop(SIGKILL), -SIGKILL);
    });
    ASSERT_NE(runner, nullptr);
    EXPECT_TRUE(runner->AwaitEnd()) << "the runner outlived its server";
  }
  Daemon again(workspace_, {});
  const auto client = Connect(again);
  const auto ended = client->Watch(id);
  ASSERT_THAT(ended, testing::IsOk());
  EXPECT_EQ(ended->state(), v1::ANALYSIS_STATE_SUCCEEDED) << ended->error().message();
  EXPECT_EQ(again.Metric("qatgap_samples_total"), 512);
}

TEST_F(FailuresTest, CancellingEndsTheRunner) {
  Daemon daemon(workspace_, {});
  const auto client = Connect(daemon);
  const auto other = Connect(daemon);
  std::unique_ptr<ProcessHandle> runner;
  const std::string id = Create(*client);
  const v1::Analysis ended = ActInTheMiddle(*client, daemon, id, [&](pid_t pid) {
    runner = std::make_unique<ProcessHandle>(pid);
    EXPECT_THAT(other->Cancel(id), testing::IsOk());
  });
  EXPECT_EQ(ended.state(), v1::ANALYSIS_STATE_CANCELLED);
  ASSERT_NE(runner, nullptr);
  EXPECT_TRUE(runner->AwaitEnd());
}

TEST_F(FailuresTest, AKilledRunnerFailsItsAnalysisAndNoOther) {
  Daemon daemon(workspace_, {});
  const auto client = Connect(daemon);
  const std::string id = Create(*client);
  const v1::Analysis ended = ActInTheMiddle(*client, daemon, id, [](pid_t pid) { ::kill(pid, SIGKILL); });
  EXPECT_EQ(ended.state(), v1::ANALYSIS_STATE_FAILED);
  EXPECT_THAT(ended.error().message(), AllOf(HasSubstr("unit 1 of 1"), HasSubstr("signal 9")));
  EXPECT_EQ(daemon.Metric("qatgap_runner_exits_total{reason=\"signal\"}"), 1);
  const CommandResult next = workspace_.Qatgap(
      {"analyze", "--qat", TestFile("residual_eager_qnnpack_scripted/qat.pt"), "--samples",
       TestFile("samples/images_64.npy"), "--target", "pytorch-qnnpack", "--max-samples", "32", "--quiet", "--server",
       daemon.address()});
  EXPECT_EQ(next.exit_code, 0) << next.errors;
}

TEST_F(FailuresTest, AMemoryLimitThatIsTooSmallIsSaidSo) {
  // One batch of 4096 in binary32 needs 4096 * 16 * 28 * 28 * 4 = 205 MB for one tensor of 16 channels alone.
  Daemon daemon(workspace_, {"--memory-limit=300000000"});
  const CommandResult result = workspace_.Qatgap(
      {"analyze", "--qat", TestFile("residual_eager_qnnpack_scripted/qat.pt"), "--samples",
       workspace_.WriteFloats("many.npy", {4096, 1, 28, 28}, DemoImages()), "--target", "pytorch-qnnpack",
       "--batch-size", "4096", "--server", daemon.address()});
  EXPECT_THAT(result.exit_code, ::testing::AnyOf(2, 4));
  EXPECT_THAT(result.errors, AllOf(HasSubstr("memory"), HasSubstr("smaller batch"), Not(HasSubstr("signal"))));
  EXPECT_EQ(workspace_.Qatgap({"list", "--server", daemon.address()}).exit_code, 0);
}

}  // namespace
}  // namespace qatgap::end_to_end
