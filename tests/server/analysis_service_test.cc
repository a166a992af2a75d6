// Creating, listing, cancelling, deleting over the wire.
#include <set>
#include <string>

#include "tests/server/server_fixture.h"

namespace qatgap::server {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class AnalysisServiceTest : public ServerTest {
 protected:
  grpc::Status Cancel(const std::string& id, v1::Analysis* analysis = nullptr) {
    grpc::ClientContext context;
    v1::CancelAnalysisRequest request;
    request.set_id(id);
    v1::CancelAnalysisResponse response;
    const grpc::Status status = analyses->CancelAnalysis(&context, request, &response);
    if (analysis != nullptr) *analysis = response.analysis();
    return status;
  }
  grpc::Status Delete(const std::string& id) {
    grpc::ClientContext context;
    v1::DeleteAnalysisRequest request;
    request.set_id(id);
    v1::DeleteAnalysisResponse response;
    return analyses->DeleteAnalysis(&context, request, &response);
  }
  grpc::Status Look(const std::string& id) {
    grpc::ClientContext context;
    v1::GetAnalysisRequest request;
    request.set_id(id);
    v1::GetAnalysisResponse response;
    return analyses->GetAnalysis(&context, request, &response);
  }
  grpc::Status List(const v1::ListAnalysesRequest& request, v1::ListAnalysesResponse* response) {
    grpc::ClientContext context;
    return analyses->ListAnalyses(&context, request, response);
  }
};

TEST_F(AnalysisServiceTest, CreateFillsDefaultsInAndSucceeds) {
  Start();
  v1::Analysis created;
  ASSERT_THAT(Create(MakeSpec("ok"), &created), GrpcOk());
  EXPECT_EQ(created.state(), v1::ANALYSIS_STATE_QUEUED);
  EXPECT_EQ(created.spec().batch_size(), 32);
  EXPECT_EQ(created.spec().parallel_units(), 1);
  EXPECT_EQ(created.create_time().seconds(), absl::ToUnixSeconds(now));
  EXPECT_FALSE(created.has_start_time());
  const v1::Analysis ended = WatchToEnd(created.id());
  EXPECT_EQ(ended.state(), v1::ANALYSIS_STATE_SUCCEEDED) << ended.error().message();
  EXPECT_TRUE(ended.has_start_time());
  EXPECT_TRUE(ended.has_end_time());
  EXPECT_EQ(ended.progress().samples_total(), 12U);
  EXPECT_GT(ended.runner_peak_bytes(), 0U);
  ASSERT_EQ(ended.verdicts_size(), 1);
  EXPECT_EQ(ended.verdicts(0).target(), "pytorch-qnnpack");
  EXPECT_FALSE(ended.verdicts(0).headline().empty());
}

TEST_F(AnalysisServiceTest, CreateNamesTheField) {
  Start();
  const v1::AnalysisSpec good = MakeSpec("ok");
  v1::Analysis analysis;
  const auto expect = [&](const char* prefix, auto change) {
    v1::AnalysisSpec spec = good;
    change(spec);
    EXPECT_THAT(Create(spec, &analysis), GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith(prefix)));
  };
  expect("spec.qat_model:", [](auto& s) { s.clear_qat_model(); });
  expect("spec.samples:", [](auto& s) { s.clear_samples(); });
  expect("spec.qat_model.sha256:", [](auto& s) { s.mutable_qat_model()->set_sha256("x"); });
  expect("spec.qat_model.name:", [](auto& s) { s.mutable_qat_model()->clear_name(); });
  expect("spec.samples.name:",
         [](auto& s) { s.mutable_samples()->set_name(std::string(256, 'n')); });
  expect("spec.samples.name:", [](auto& s) { s.mutable_samples()->set_name("../up.npy"); });
  expect("spec.samples:", [](auto& s) { *s.add_sample_inputs()->mutable_file() = s.samples(); });
  const auto inputs = [&](auto change) {
    return [change](v1::AnalysisSpec& s) {
      *s.add_sample_inputs()->mutable_file() = s.samples();
      s.clear_samples();
      change(s);
    };
  };
  expect("spec.sample_inputs[0].file:", inputs([](auto& s) { s.mutable_sample_inputs(0)->clear_file(); }));
  expect("spec.sample_inputs[0].file.name:",
         inputs([](auto& s) { s.mutable_sample_inputs(0)->mutable_file()->clear_name(); }));
  expect("spec.sample_inputs[0].input_name:",
         inputs([](auto& s) { s.mutable_sample_inputs(0)->set_input_name(std::string(256, 'n')); }));
  expect("spec.sample_inputs:", inputs([](auto& s) {
           while (s.sample_inputs_size() < 33) *s.add_sample_inputs() = s.sample_inputs(0);
         }));
  expect("spec.normalizations[0]: std must be", [](auto& s) { s.add_normalizations()->add_std(0); });
  expect("spec.normalizations[1]: the channel axis", [](auto& s) {
    s.add_normalizations();
    s.add_normalizations()->set_channel_axis(8);
  });
  expect("spec.normalizations:", [](auto& s) {
    while (s.normalizations_size() < 33) s.add_normalizations();
  });
  expect("spec.labels.sha256:", [](auto& s) { s.mutable_labels()->set_name("labels.npy"); });
  expect("spec.targets:", [](auto& s) { s.clear_targets(); });
  expect("spec.targets:", [](auto& s) { s.add_targets("pytorch-qnnpack"); });
  expect("spec.targets:", [](auto& s) { s.add_targets(std::string(65, 't')); });
  expect("spec.batch_size:", [](auto& s) { s.set_batch_size(4097); });
  expect("spec.batch_size:", [](auto& s) { s.set_batch_size(-1); });
  expect("spec.parallel_units:", [](auto& s) { s.set_parallel_units(65); });
  expect("spec.title:", [](auto& s) { s.set_title(std::string(201, 't')); });
  EXPECT_THAT(Create(good, &analysis, std::string(65, 'r')),
              GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("request_id:")));
}

TEST_F(AnalysisServiceTest, CreateWithWhatIsNotThere) {
  Start();
  v1::AnalysisSpec spec = MakeSpec("ok");
  v1::Analysis analysis;
  spec.set_targets(0, "pytorch-qnnpak");
  EXPECT_THAT(Create(spec, &analysis),
              GrpcStatusIs(grpc::NOT_FOUND,
                           AllOf(StartsWith("spec.targets:"), HasSubstr("did you mean \"pytorch-qnnpack\""))));
  spec = MakeSpec("ok");
  spec.mutable_samples()->set_sha256(std::string(64, 'f'));
  EXPECT_THAT(Create(spec, &analysis),
              GrpcStatusIs(grpc::NOT_FOUND, StartsWith("spec.samples.sha256:")));
  *spec.add_sample_inputs()->mutable_file() = spec.samples();
  spec.clear_samples();
  EXPECT_THAT(Create(spec, &analysis),
              GrpcStatusIs(grpc::NOT_FOUND, StartsWith("spec.sample_inputs[0].file.sha256:")));
}

// What was asked for comes back as it was, from the store too.
TEST_F(AnalysisServiceTest, SampleInputsAndNormalisationsAreKept) {
  Start();
  v1::AnalysisSpec spec = MakeSpec("ok");
  for (const char* name : {"ids", "mask"}) {
    v1::SampleInput& input = *spec.add_sample_inputs();
    input.set_input_name(name);
    *input.mutable_file() = spec.samples();
  }
  spec.clear_samples();
  *spec.mutable_converted_model() = spec.qat_model();
  spec.clear_qat_model();
  v1::Normalization& normalization = *spec.add_normalizations();
  normalization.set_input_name("mask");
  normalization.add_mean(0.25);
  const v1::Analysis ended = WatchToEnd(MustCreate(spec));
  EXPECT_EQ(ended.state(), v1::ANALYSIS_STATE_SUCCEEDED);
  EXPECT_FALSE(ended.spec().has_qat_model());
  EXPECT_FALSE(ended.spec().has_samples());
  ASSERT_EQ(ended.spec().sample_inputs_size(), 2);
  EXPECT_EQ(ended.spec().sample_inputs(1).input_name(), "mask");
  EXPECT_EQ(ended.spec().sample_inputs(1).file().name(), "samples.npy");
  ASSERT_EQ(ended.spec().normalizations_size(), 1);
  EXPECT_EQ(ended.spec().normalizations(0).mean(0), 0.25);
  EXPECT_EQ(ended.spec().normalizations(0).scale(), 1) << "the default";
  EXPECT_EQ(ended.spec().normalizations(0).channel_axis(), 1) << "the default";
}

TEST_F(AnalysisServiceTest, CreateIsIdempotentForOneRequestId) {
  Start();
  v1::Analysis first, second, other;
  ASSERT_THAT(Create(MakeSpec("ok"), &first, "retry-me"), GrpcOk());
  ASSERT_THAT(Create(MakeSpec("ok"), &second, "retry-me"), GrpcOk());
  ASSERT_THAT(Create(MakeSpec("ok"), &other), GrpcOk());
  EXPECT_EQ(first.id(), second.id());
  EXPECT_NE(first.id(), other.id());
  WatchToEnd(first.id());
  ASSERT_THAT(Create(MakeSpec("ok"), &second, "retry-me"), GrpcOk());
  EXPECT_EQ(second.state(), v1::ANALYSIS_STATE_SUCCEEDED);
}

TEST_F(AnalysisServiceTest, FullQueue) {
  options.max_queued = 1;
  Start();
  const std::string running = MustCreate(MakeSpec("hang"));
  WaitForRunnerPid(running);
  MustCreate(MakeSpec("ok"));
  v1::Analysis analysis;
  EXPECT_THAT(Create(MakeSpec("ok"), &analysis),
              GrpcStatusIs(grpc::RESOURCE_EXHAUSTED, HasSubstr("--max-queued")));
}

TEST_F(AnalysisServiceTest, UnknownIds) {
  Start();
  const auto not_found = GrpcStatusIs(grpc::NOT_FOUND, HasSubstr("'nobody'"));
  EXPECT_THAT(Look("nobody"), not_found);
  EXPECT_THAT(Cancel("nobody"), not_found);
  EXPECT_THAT(Delete("nobody"), not_found);
  grpc::Status status;
  Report("nobody", v1::REPORT_FORMAT_JSON, &status);
  EXPECT_THAT(status, not_found);
  grpc::ClientContext context, watch_context;
  v1::ListLayerResultsRequest layers;
  layers.set_id("nobody");
  v1::ListLayerResultsResponse page;
  EXPECT_THAT(analyses->ListLayerResults(&context, layers, &page), not_found);
  v1::WatchAnalysisRequest watch;
  watch.set_id("nobody");
  EXPECT_THAT(analyses->WatchAnalysis(&watch_context, watch)->Finish(), not_found);
  EXPECT_THAT(Look(""), GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("id:")));
}

TEST_F(AnalysisServiceTest, CancelEndsTheChild) {
  Start();
  const std::string id = MustCreate(MakeSpec("hang"));
  const int pidfd = OpenPid(WaitForRunnerPid(id));
  ASSERT_GE(pidfd, 0);
  v1::Analysis cancelled;
  ASSERT_THAT(Cancel(id, &cancelled), GrpcOk());
  EXPECT_EQ(cancelled.state(), v1::ANALYSIS_STATE_CANCELLED);
  EXPECT_TRUE(cancelled.has_end_time());
  EXPECT_TRUE(WaitForEnd(pidfd));
  ASSERT_THAT(Cancel(id, &cancelled), GrpcOk()) << "idempotent";
  EXPECT_EQ(WatchToEnd(id).state(), v1::ANALYSIS_STATE_CANCELLED);
  EXPECT_EQ(Run("ok").state(), v1::ANALYSIS_STATE_SUCCEEDED) << "the worker is free again";
}

TEST_F(AnalysisServiceTest, CancelOfAQueuedOneLetsTheNextPass) {
  Start();
  const std::string running = MustCreate(MakeSpec("hang"));
  const std::string queued = MustCreate(MakeSpec("ok"));
  const std::string next = MustCreate(MakeSpec("ok"));
  EXPECT_THAT(Cancel(queued), GrpcOk());
  EXPECT_THAT(Cancel(running), GrpcOk());
  EXPECT_EQ(WatchToEnd(next).state(), v1::ANALYSIS_STATE_SUCCEEDED);
  EXPECT_FALSE(Get(queued).has_start_time());
}

TEST_F(AnalysisServiceTest, CancelOfAnEndedOne) {
  Start();
  const auto too_late = [](const char* state) {
    return GrpcStatusIs(grpc::FAILED_PRECONDITION, HasSubstr(state));
  };
  EXPECT_THAT(Cancel(Run("ok").id()), too_late("succeeded"));
  EXPECT_THAT(Cancel(Run("crash").id()), too_late("failed"));
}

TEST_F(AnalysisServiceTest, DeleteOnlyWhatHasEnded) {
  Start();
  const std::string running = MustCreate(MakeSpec("hang"));
  const std::string queued = MustCreate(MakeSpec("ok"));
  WaitForRunnerPid(running);
  EXPECT_THAT(Delete(running), GrpcStatusIs(grpc::FAILED_PRECONDITION, HasSubstr("running")));
  EXPECT_THAT(Delete(queued), GrpcStatusIs(grpc::FAILED_PRECONDITION, HasSubstr("queued")));
  ASSERT_THAT(Cancel(running), GrpcOk());
  EXPECT_THAT(Delete(running), GrpcOk());
  EXPECT_THAT(Look(running), GrpcStatusIs(grpc::NOT_FOUND, HasSubstr(running)));
  WatchToEnd(queued);
  EXPECT_THAT(Delete(queued), GrpcOk());
  grpc::Status status;
  Report(queued, v1::REPORT_FORMAT_JSON, &status);
  EXPECT_THAT(status, GrpcStatusIs(grpc::NOT_FOUND, HasSubstr(queued)));
}

TEST_F(AnalysisServiceTest, ListsNewestFirstInPages) {
  Start();
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(Run(i == 2 ? "crash" : "ok").id());
  v1::ListAnalysesRequest request;
  request.set_page_size(2);
  std::vector<std::string> listed;
  int pages = 0;
  do {
    v1::ListAnalysesResponse response;
    ASSERT_THAT(List(request, &response), GrpcOk());
    for (const auto& analysis : response.analyses()) listed.push_back(analysis.id());
    request.set_page_token(response.next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_EQ(pages, 3);
  EXPECT_THAT(listed, ElementsAre(ids[4], ids[3], ids[2], ids[1], ids[0]));

  request.Clear();
  request.set_state(v1::ANALYSIS_STATE_FAILED);
  v1::ListAnalysesResponse failed;
  ASSERT_THAT(List(request, &failed), GrpcOk());
  ASSERT_EQ(failed.analyses_size(), 1);
  EXPECT_EQ(failed.analyses(0).id(), ids[2]);
  EXPECT_TRUE(failed.next_page_token().empty());
}

TEST_F(AnalysisServiceTest, ListRefusesBadRequests) {
  Start();
  for (int i = 0; i < 2; ++i) Run("ok");
  v1::ListAnalysesRequest request;
  v1::ListAnalysesResponse response;
  request.set_page_token("not a token");
  EXPECT_THAT(List(request, &response),
              GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("page_token:")));
  request.set_page_token("");
  request.set_page_size(-1);
  EXPECT_THAT(List(request, &response),
              GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("page_size:")));
  request.set_page_size(1);
  ASSERT_THAT(List(request, &response), GrpcOk());
  // A token belongs to its filter.
  request.set_page_token(response.next_page_token());
  request.set_state(v1::ANALYSIS_STATE_FAILED);
  EXPECT_THAT(List(request, &response),
              GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("page_token:")));
  request.set_state(static_cast<v1::AnalysisState>(99));
  EXPECT_THAT(List(request, &response), GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("state:")));
}

TEST_F(AnalysisServiceTest, Targets) {
  Start();
  v1::ListTargetsRequest request;
  request.set_page_size(2);
  std::set<std::string> names;
  do {
    grpc::ClientContext context;
    v1::ListTargetsResponse response;
    ASSERT_THAT(targets->ListTargets(&context, request, &response), GrpcOk());
    for (const auto& target : response.targets()) EXPECT_TRUE(names.insert(target.name()).second);
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_TRUE(names.contains("pytorch-qnnpack"));

  grpc::ClientContext bad_context, get_context, missing_context;
  v1::ListTargetsResponse response;
  request.set_page_token("?");
  EXPECT_THAT(targets->ListTargets(&bad_context, request, &response),
              GrpcStatusIs(grpc::INVALID_ARGUMENT, StartsWith("page_token:")));
  v1::GetTargetRequest get;
  v1::GetTargetResponse got;
  get.set_name("pytorch-qnnpack");
  ASSERT_THAT(targets->GetTarget(&get_context, get, &got), GrpcOk());
  EXPECT_EQ(got.target().bias_mode(), v1::BIAS_MODE_INTEGER);
  EXPECT_FALSE(got.target().description().empty());
  get.set_name("pytorch-qnnpak");
  EXPECT_THAT(targets->GetTarget(&missing_context, get, &got),
              GrpcStatusIs(grpc::NOT_FOUND, HasSubstr("did you mean \"pytorch-qnnpack\"")));
}

}  // namespace
}  // namespace qatgap::server
