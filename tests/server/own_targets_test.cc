// Targets that clients describe, over the wire.
#include <string>

#include "tests/server/server_fixture.h"

namespace qatgap::server {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class OwnTargetsTest : public ServerTest {
 protected:
  grpc::Status Describe(const std::string& text, v1::Target* target = nullptr) {
    grpc::ClientContext context;
    v1::DescribeTargetRequest request;
    request.set_description(text);
    v1::DescribeTargetResponse response;
    const grpc::Status status = targets->DescribeTarget(&context, request, &response);
    if (target != nullptr) *target = response.target();
    return status;
  }
};

TEST_F(OwnTargetsTest, DescribeShowsItAndBelievesNoClaim) {
  Start();
  v1::Target target;
  ASSERT_THAT(Describe(OwnTarget("mine", 24), &target), GrpcOk());
  EXPECT_EQ(target.name(), "mine");
  EXPECT_EQ(target.bias_mode(), v1::BIAS_MODE_INTEGER);
  EXPECT_EQ(target.evidence().kind(), v1::EVIDENCE_KIND_UNVERIFIED);
  EXPECT_EQ(target.evidence().detail(), "user-defined; its author says: says its author");
  EXPECT_THAT(target.description(), AllOf(HasSubstr("24"), HasSubstr("user-defined")));
  EXPECT_FALSE(target.arithmetic_digest().empty());
}

TEST_F(OwnTargetsTest, DescribeNamesTheField) {
  Start();
  const auto refused = [](auto message) { return GrpcStatusIs(grpc::INVALID_ARGUMENT, message); };
  EXPECT_THAT(Describe(""), refused(StartsWith("description: is required")));
  EXPECT_THAT(Describe("- a\n- list"), refused(StartsWith("description:")));
  EXPECT_THAT(Describe(OwnTarget("mine", 65)), refused(AllOf(StartsWith("description:"), HasSubstr("bias.bits"))));
  EXPECT_THAT(Describe("name: [unclosed"), refused(StartsWith("description:")));
  EXPECT_THAT(Describe(std::string((64 << 10) + 1, '#')), refused(HasSubstr("at most 65536 bytes")));
  // Nesting that would overflow the stack of a parser that recurses without a bound.
  EXPECT_THAT(Describe(std::string(60'000, '[')), refused(StartsWith("description:")));
  EXPECT_THAT(Describe("a: &a [x]\nb: [*a, *a]\n"), refused(StartsWith("description:")));
}

TEST_F(OwnTargetsTest, AnAnalysisKeepsThemAndRunsThemAnewAfterARestart) {
  Start();
  v1::AnalysisSpec spec = MakeSpec("gate");
  const std::string text = OwnTarget("mine", 24);
  spec.add_target_descriptions(text);
  const std::string id = MustCreate(spec);
  WaitForRunnerPid(id);
  Stop();
  Start();
  EXPECT_THAT(Get(id).spec().target_descriptions(), ElementsAre(text));
  const int pid = WaitForRunnerPid(id);
  ASSERT_EQ(::kill(pid, SIGUSR1), 0);
  const v1::Analysis ended = WatchToEnd(id);
  ASSERT_EQ(ended.state(), v1::ANALYSIS_STATE_SUCCEEDED) << ended.error().message();
  ASSERT_EQ(ended.verdicts_size(), 2);
  EXPECT_EQ(ended.verdicts(1).target(), "own:" + std::to_string(text.size()));
}

TEST_F(OwnTargetsTest, AnAnalysisNeedsNoShippedOne) {
  Start();
  v1::AnalysisSpec spec = MakeSpec("ok");
  spec.clear_targets();
  spec.add_target_descriptions(OwnTarget("mine", 24));
  EXPECT_EQ(WatchToEnd(MustCreate(spec)).state(), v1::ANALYSIS_STATE_SUCCEEDED);
}

TEST_F(OwnTargetsTest, CreateNamesTheDescription) {
  Start();
  const v1::AnalysisSpec good = MakeSpec("ok");
  v1::Analysis analysis;
  const auto expect = [&](auto message, auto change) {
    v1::AnalysisSpec spec = good;
    change(spec);
    EXPECT_THAT(Create(spec, &analysis), GrpcStatusIs(grpc::INVALID_ARGUMENT, message));
  };
  expect(AllOf(StartsWith("spec.target_descriptions[0]:"), HasSubstr("bias.bits")),
         [](auto& s) { s.add_target_descriptions(OwnTarget("mine", 1)); });
  expect(AllOf(StartsWith("spec.target_descriptions[1]:"), HasSubstr("'mine'")), [](auto& s) {
    s.add_target_descriptions(OwnTarget("mine", 24));
    s.add_target_descriptions(OwnTarget("mine", 16));
  });
  expect(AllOf(StartsWith("spec.target_descriptions[0]:"), HasSubstr("'pytorch-qnnpack'")),
         [](auto& s) { s.add_target_descriptions(OwnTarget("pytorch-qnnpack", 24)); });
  // Not asked for, but the report would show it as the shipped one.
  expect(AllOf(StartsWith("spec.target_descriptions[0]:"), HasSubstr("shipped")),
         [](auto& s) { s.add_target_descriptions(OwnTarget("generic-int32", 24)); });
  expect(StartsWith("spec.target_descriptions:"), [](auto& s) {
    for (int i = 0; i < 17; ++i) s.add_target_descriptions(OwnTarget("mine-" + std::to_string(i), 24));
  });
}

}  // namespace
}  // namespace qatgap::server
