// Whatever a runner does, the analysis says so and the server goes on.
#include <cstdlib>

#include "tests/server/server_fixture.h"

namespace qatgap::server {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kInternal = 13;
constexpr int kResourceExhausted = 8;

class RunnerFailuresTest : public ServerTest {
 protected:
  void ExpectFailure(const std::string& script, int code,
                     const ::testing::Matcher<const std::string&>& message) {
    const v1::Analysis analysis = Run(script);
    EXPECT_EQ(analysis.state(), v1::ANALYSIS_STATE_FAILED);
    EXPECT_EQ(analysis.error().code(), code) << analysis.error().message();
    EXPECT_THAT(analysis.error().message(), message);
    EXPECT_TRUE(analysis.has_end_time());
    EXPECT_EQ(Run("ok").state(), v1::ANALYSIS_STATE_SUCCEEDED);
  }
};

TEST_F(RunnerFailuresTest, Crash) {
  Start();
  ExpectFailure("crash", kInternal,
                AllOf(HasSubstr("unit 1 of 1"), HasSubstr("signal 6"),
                      HasSubstr("loading model.pt: bad magic"), Not(HasSubstr("/srv"))));
}

TEST_F(RunnerFailuresTest, KilledForWantOfMemory) {
  Start();
  ExpectFailure("kill", kResourceExhausted, AllOf(HasSubstr("signal 9"), HasSubstr("memory")));
}

TEST_F(RunnerFailuresTest, ExitCode) {
  Start();
  ExpectFailure("exit 5", kInternal, HasSubstr("code 5 without a result"));
}

TEST_F(RunnerFailuresTest, NoResult) {
  Start();
  ExpectFailure("exit 0", kInternal, HasSubstr("code 0 without a result"));
}

TEST_F(RunnerFailuresTest, ExitCodeAfterTheResult) {
  Start();
  ExpectFailure("late-exit 4", kInternal, HasSubstr("code 4"));
}

TEST_F(RunnerFailuresTest, Garbage) {
  Start();
  ExpectFailure("garbage", kInternal, AllOf(HasSubstr("unit 1 of 1"), HasSubstr("event")));
}

TEST_F(RunnerFailuresTest, HalfAResult) {
  Start();
  ExpectFailure("truncated", kInternal, HasSubstr("in the middle of an event"));
}

TEST_F(RunnerFailuresTest, ImpossibleResult) {
  Start();
  ExpectFailure("bad-result", kInternal, HasSubstr("LayerResult.layer is 7 of 2"));
}

TEST_F(RunnerFailuresTest, FailureEventPassesThrough) {
  Start();
  ExpectFailure("failure 9 the models cannot be paired: conv1", 9,
                ::testing::StrEq("the models cannot be paired: conv1"));
  ExpectFailure("failure 77 a code that is none", kInternal, HasSubstr("a code that is none"));
}

TEST_F(RunnerFailuresTest, Timeout) {
  unit_timeout = absl::Milliseconds(100);
  Start();
  const v1::Analysis analysis = Run("hang");
  EXPECT_EQ(analysis.state(), v1::ANALYSIS_STATE_FAILED);
  EXPECT_EQ(analysis.error().code(), kResourceExhausted);
  EXPECT_THAT(analysis.error().message(),
              AllOf(HasSubstr("longer than 100ms"), HasSubstr("--unit-timeout")));
}

TEST_F(RunnerFailuresTest, OneUnitsFailureEndsTheOthers) {
  options.runners = 2;
  Start();
  v1::AnalysisSpec spec = MakeSpec("second-fails");
  spec.set_parallel_units(2);
  const v1::Analysis analysis = WatchToEnd(MustCreate(spec));
  EXPECT_EQ(analysis.state(), v1::ANALYSIS_STATE_FAILED);
  EXPECT_EQ(analysis.error().message(), "the second one fails");
  EXPECT_EQ(Run("ok").state(), v1::ANALYSIS_STATE_SUCCEEDED);
}

TEST_F(RunnerFailuresTest, TheChildGetsNoMoreThanItNeeds) {
  ::setenv("QATGAP_TEST_SECRET", "hunter2", 1);
  ::setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
  Start();
  const v1::Analysis analysis = Run("inspect");
  EXPECT_THAT(analysis.error().message(),
              AllOf(HasSubstr("fds 0 1 2 3 5; writable 0 0; leads 1;"), HasSubstr(" PATH"),
                    HasSubstr("ONEDNN_MAX_CPU_ISA"), Not(HasSubstr("SECRET")),
                    Not(HasSubstr("HOME")), HasSubstr("memory 123456789; seconds 120;"),
                    HasSubstr("names model.pt samples.npy -1")));
}

TEST_F(RunnerFailuresTest, NoRunner) {
  runner_path = directory.path() + "/no-such-runner";
  Start();
  const v1::Analysis analysis = Run("ok");
  EXPECT_EQ(analysis.state(), v1::ANALYSIS_STATE_FAILED);
  EXPECT_EQ(analysis.error().code(), kInternal);
  EXPECT_THAT(analysis.error().message(),
              AllOf(HasSubstr("cannot start the runner"), Not(HasSubstr(directory.path()))));
}

}  // namespace
}  // namespace qatgap::server
