#include "client/lib/client.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "client/lib/error_details.h"
#include "client/lib/grpc_status.h"
#include "client/lib/local_file.h"
#include "gtest/gtest.h"
#include "tests/client/fake_service.h"
#include "tests/testing/status_matchers.h"

namespace qatgap::client {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::Ending;
using testing::FakeService;
using ::testing::HasSubstr;
using testing::StatusIs;

class ClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ConnectOptions options;
    options.address = fake_.address();
    options.cancellation = &cancellation_;
    auto client = Client::Connect(options);
    QATGAP_ASSERT_OK(client);
    client_ = std::move(*client);
  }

  std::string File(const std::string& name, const std::string& bytes) {
    // Cases run as processes side by side: each has a folder of its own.
    if (folder_.empty()) folder_ = ::testing::TempDir() + "/client_test." + std::to_string(getpid());
    std::filesystem::create_directories(folder_);
    const std::string path = folder_ + "/client_test_" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  FakeService fake_;
  Cancellation cancellation_;
  std::unique_ptr<Client> client_;
  std::string folder_;
};

// FIPS 180-2, appendix B.1.
constexpr char kShaOfAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST_F(ClientTest, UploadSendsTheHashOfTheBytes) {
  const auto uploaded = client_->Upload(File("abc", "abc"));
  QATGAP_ASSERT_OK(uploaded);
  EXPECT_FALSE(uploaded->already_there);
  EXPECT_EQ(uploaded->artifact.sha256(), kShaOfAbc);
  EXPECT_EQ(uploaded->artifact.name(), "client_test_abc");
  EXPECT_EQ(fake_.artifacts().at(kShaOfAbc), "abc");
}

TEST_F(ClientTest, UploadSkipsWhatTheServiceHas) {
  fake_.Hold(kShaOfAbc);
  const auto uploaded = client_->Upload(File("abc", "abc"));
  QATGAP_ASSERT_OK(uploaded);
  EXPECT_TRUE(uploaded->already_there);
  EXPECT_EQ(fake_.calls("UploadArtifact"), 0);
}

TEST_F(ClientTest, UploadSplitsLargeFilesAndTellsProgress) {
  std::string bytes((std::size_t{2} << 20) + 7, 'x');
  bytes[12345] = 'y';
  std::vector<std::uint64_t> sent;
  const auto uploaded = client_->Upload(
      File("large", bytes), [&](std::uint64_t done, std::uint64_t) { sent.push_back(done); });
  QATGAP_ASSERT_OK(uploaded);
  EXPECT_EQ(fake_.artifacts().at(uploaded->artifact.sha256()), bytes);
  EXPECT_THAT(sent, ElementsAre(1U << 20, 2U << 20, (2U << 20) + 7));
}

TEST_F(ClientTest, UploadReportsTheServicesRefusal) {
  fake_.Fail("UploadArtifact", {grpc::StatusCode::RESOURCE_EXHAUSTED, "larger than 1 GiB"});
  EXPECT_THAT(client_->Upload(File("abc", "abc")),
              StatusIs(absl::StatusCode::kResourceExhausted, "larger than 1 GiB"));
}

TEST_F(ClientTest, UploadOfAMissingFileFails) {
  EXPECT_THAT(client_->Upload("/nonexistent/model.pt"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("model.pt")));
}

TEST_F(ClientTest, CreateGivesEachCallARequestId) {
  QATGAP_ASSERT_OK(client_->Create({}));
  QATGAP_ASSERT_OK(client_->Create({}));
  const auto created = fake_.created();
  ASSERT_EQ(created.size(), 2U);
  EXPECT_EQ(created[0].request_id().size(), 32U);
  EXPECT_NE(created[0].request_id(), created[1].request_id());
}

TEST_F(ClientTest, CreateIsTriedTwiceWhenTheServiceIsAway) {
  fake_.Fail("CreateAnalysis", {grpc::StatusCode::UNAVAILABLE, "restarting"});
  EXPECT_THAT(client_->Create({}),
              StatusIs(absl::StatusCode::kUnavailable,
                       AllOf(HasSubstr(fake_.address()), HasSubstr("restarting"))));
  EXPECT_EQ(fake_.calls("CreateAnalysis"), 2);
}

TEST_F(ClientTest, WatchFollowsToTheEnd) {
  int events = 0;
  const auto ended = client_->Watch("a1", [&](const auto&) { ++events; });
  QATGAP_ASSERT_OK(ended);
  EXPECT_EQ(ended->state(), v1::ANALYSIS_STATE_SUCCEEDED);
  EXPECT_EQ(events, 8);
}

TEST_F(ClientTest, WatchOpensABrokenStreamAgain) {
  fake_.set_ending(Ending::kBreakOnceThenSucceed);
  const auto ended = client_->Watch("a1");
  QATGAP_ASSERT_OK(ended);
  EXPECT_EQ(ended->state(), v1::ANALYSIS_STATE_SUCCEEDED);
  EXPECT_EQ(fake_.calls("WatchAnalysis"), 2);
}

TEST_F(ClientTest, WatchEndsUponARequestToStop) {
  fake_.set_ending(Ending::kHangUntilCancelled);
  const auto ended = client_->Watch("a1", [&](const v1::WatchAnalysisResponse& event) {
    if (event.analysis().state() == v1::ANALYSIS_STATE_RUNNING) cancellation_.Request();
  });
  EXPECT_THAT(ended, StatusIs(absl::StatusCode::kCancelled, ::testing::_));
}

TEST_F(ClientTest, CancelWorksAfterARequestToStop) {
  cancellation_.Request();
  const auto cancelled = client_->Cancel("a1");
  QATGAP_ASSERT_OK(cancelled);
  EXPECT_THAT(fake_.cancelled(), ElementsAre("a1"));
}

TEST_F(ClientTest, ListsFollowPages) {
  const auto all = client_->List();
  QATGAP_ASSERT_OK(all);
  EXPECT_EQ(all->size(), 5U);
  EXPECT_EQ(fake_.calls("ListAnalyses"), 3);
  const auto three = client_->List(3);
  QATGAP_ASSERT_OK(three);
  EXPECT_EQ(three->size(), 3U);
  EXPECT_EQ(fake_.calls("ListAnalyses"), 5);
  const auto targets = client_->ListTargets();
  QATGAP_ASSERT_OK(targets);
  EXPECT_EQ(targets->size(), 3U);
  const auto layers = client_->ListLayers("a1", "alpha");
  QATGAP_ASSERT_OK(layers);
  EXPECT_EQ(layers->size(), 3U);
}

TEST_F(ClientTest, ReportComesInOrder) {
  std::string report;
  QATGAP_ASSERT_OK(
      client_->DownloadReport("a1", v1::REPORT_FORMAT_HTML, [&](std::string_view part) {
        report.append(part);
        return absl::OkStatus();
      }));
  EXPECT_EQ(report, "report 2");
}

TEST_F(ClientTest, ReportStopsAtTheFirstErrorOfTheSink) {
  EXPECT_THAT(client_->DownloadReport("a1", v1::REPORT_FORMAT_HTML,
                                      [](std::string_view) { return absl::DataLossError("full"); }),
              StatusIs(absl::StatusCode::kDataLoss, "full"));
}

TEST(ConnectTest, RefusesWhatIsNoAddress) {
  for (const char* address : {"", "localhost", "http://localhost:7070"}) {
    ConnectOptions options;
    options.address = address;
    EXPECT_THAT(Client::Connect(options),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(address)));
  }
}

TEST(ConnectTest, NamesTheAddressOfAServiceThatIsNotThere) {
  ConnectOptions options;
  options.address = "unix:/nonexistent/socket";
  const auto client = Client::Connect(options);
  QATGAP_ASSERT_OK(client);
  const absl::Status status = (*client)->Get("a1").status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("/nonexistent/socket")));
  EXPECT_THAT(RemedyOf(status), HasSubstr("--server"));
}

TEST(GrpcStatusTest, KeepsCodeAndMessage) {
  EXPECT_TRUE(ToAbslStatus(grpc::Status::OK).ok());
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status =
        ToAbslStatus(grpc::Status(static_cast<grpc::StatusCode>(code), "why"));
    EXPECT_EQ(status.raw_code(), code);
    EXPECT_EQ(status.message(), "why");
  }
}

TEST(OutcomeTest, FollowsStateAndCode) {
  v1::Analysis analysis;
  analysis.set_state(v1::ANALYSIS_STATE_SUCCEEDED);
  QATGAP_EXPECT_OK(OutcomeOf(analysis));
  analysis.set_state(v1::ANALYSIS_STATE_FAILED);
  analysis.mutable_error()->set_code(9);
  analysis.mutable_error()->set_message("cannot pair");
  EXPECT_THAT(OutcomeOf(analysis),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("cannot pair")));
  analysis.mutable_error()->set_code(0);
  EXPECT_EQ(OutcomeOf(analysis).code(), absl::StatusCode::kInternal);
  analysis.set_state(v1::ANALYSIS_STATE_CANCELLED);
  EXPECT_EQ(OutcomeOf(analysis).code(), absl::StatusCode::kCancelled);
}

TEST(CheckReadableTest, TellsWhatIsWrong) {
  const std::string empty = ::testing::TempDir() + "/check_readable_empty." + std::to_string(getpid());
  std::ofstream(empty).flush();
  EXPECT_THAT(CheckReadable("samples", "/nonexistent"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no such samples file")));
  EXPECT_THAT(CheckReadable("samples", "/"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not a regular file")));
  EXPECT_THAT(CheckReadable("samples", empty),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("empty")));
  std::filesystem::remove(empty);
}

}  // namespace
}  // namespace qatgap::client
