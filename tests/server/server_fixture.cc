#include "tests/server/server_fixture.h"

#include <limits>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "server/artifacts/sha256.h"
#include "server/artifacts/unique_fd.h"
#include "server/runner_process/posix_runner_launcher.h"

namespace qatgap::server {

void ServerTest::SetUp() {
  runner_path = QATGAP_BIN_DIR "/qatgap_fake_runner";
  options.listen = "127.0.0.1:0";
  options.metrics_listen.clear();
  options.http_listen.clear();
  options.data_dir = directory.path() + "/data";
}

void ServerTest::Start() {
  auto started = Server::Start(
      options,
      MakePosixRunnerLauncher({.path = runner_path,
                               .timeout = unit_timeout,
                               .memory_limit_bytes = 123456789}),
      std::make_unique<FakeClock>(now));
  ASSERT_TRUE(started.ok()) << started.status();
  server = *std::move(started);
  channel = grpc::CreateChannel(server->address(), grpc::InsecureChannelCredentials());
  artifacts = v1::ArtifactService::NewStub(channel);
  analyses = v1::AnalysisService::NewStub(channel);
  targets = v1::TargetService::NewStub(channel);
  models = v1::ModelService::NewStub(channel);
}

void ServerTest::Stop() {
  artifacts.reset();
  analyses.reset();
  targets.reset();
  models.reset();
  channel.reset();
  server.reset();
}

std::string ServerTest::Upload(const std::string& bytes) {
  Sha256 digest;
  digest.Update(bytes);
  const std::string sha256 = digest.FinishHex();
  grpc::ClientContext context;
  v1::UploadArtifactResponse response;
  const auto writer = artifacts->UploadArtifact(&context, &response);
  v1::UploadArtifactRequest request;
  request.mutable_header()->set_sha256(sha256);
  request.mutable_header()->set_size_bytes(bytes.size());
  writer->Write(request);
  request.set_chunk(bytes);
  writer->Write(request);
  writer->WritesDone();
  EXPECT_THAT(writer->Finish(), GrpcOk());
  return sha256;
}

v1::ArtifactRef ServerTest::MakeRef(const std::string& script, const std::string& name) {
  v1::ArtifactRef ref;
  ref.set_sha256(Upload(script));
  ref.set_name(name);
  return ref;
}

v1::AnalysisSpec ServerTest::MakeSpec(const std::string& script) {
  v1::AnalysisSpec spec;
  *spec.mutable_qat_model() = MakeRef(script, "model.pt");
  spec.mutable_samples()->set_sha256(Upload("samples"));
  spec.mutable_samples()->set_name("samples.npy");
  spec.add_targets("pytorch-qnnpack");
  spec.set_title("a title");
  return spec;
}

grpc::Status ServerTest::Create(const v1::AnalysisSpec& spec, v1::Analysis* analysis,
                                const std::string& request_id) {
  grpc::ClientContext context;
  v1::CreateAnalysisRequest request;
  *request.mutable_spec() = spec;
  request.set_request_id(request_id);
  v1::CreateAnalysisResponse response;
  const grpc::Status status = analyses->CreateAnalysis(&context, request, &response);
  *analysis = response.analysis();
  return status;
}

std::string ServerTest::MustCreate(const v1::AnalysisSpec& spec) {
  v1::Analysis analysis;
  EXPECT_THAT(Create(spec, &analysis), GrpcOk());
  return analysis.id();
}

v1::Analysis ServerTest::Get(const std::string& id) {
  grpc::ClientContext context;
  v1::GetAnalysisRequest request;
  request.set_id(id);
  v1::GetAnalysisResponse response;
  EXPECT_THAT(analyses->GetAnalysis(&context, request, &response), GrpcOk());
  return response.analysis();
}

v1::Analysis ServerTest::WatchToEnd(
    const std::string& id, const std::function<void(const v1::WatchAnalysisResponse&)>& on_event) {
  grpc::ClientContext context;
  v1::WatchAnalysisRequest request;
  request.set_id(id);
  const auto reader = analyses->WatchAnalysis(&context, request);
  v1::WatchAnalysisResponse response;
  v1::Analysis last;
  while (reader->Read(&response)) {
    on_event(response);
    if (response.has_analysis()) last = response.analysis();
  }
  EXPECT_THAT(reader->Finish(), GrpcOk());
  return last;
}

int ServerTest::WaitForRunnerPid(const std::string& id) {
  // The state may hold the progress already, or it comes as an event of its own.
  grpc::ClientContext context;
  v1::WatchAnalysisRequest request;
  request.set_id(id);
  const auto reader = analyses->WatchAnalysis(&context, request);
  v1::WatchAnalysisResponse response;
  int pid = 0;
  while (pid == 0 && reader->Read(&response)) {
    pid = static_cast<int>(response.has_analysis() ? response.analysis().progress().samples_done()
                                                   : response.progress().samples_done());
  }
  context.TryCancel();
  while (reader->Read(&response)) {
  }
  reader->Finish();
  if (pid != 0) return pid;
  ADD_FAILURE() << "no runner said its pid";
  return std::numeric_limits<int>::max();  // kill(0) would signal everybody
}

std::string ServerTest::Report(const std::string& id, v1::ReportFormat format,
                               grpc::Status* status) {
  grpc::ClientContext context;
  v1::GetReportRequest request;
  request.set_id(id);
  request.set_format(format);
  const auto reader = analyses->GetReport(&context, request);
  v1::GetReportResponse response;
  std::string text;
  while (reader->Read(&response)) text += response.chunk();
  *status = reader->Finish();
  return text;
}

std::string OwnTarget(const std::string& name, int bias_bits) {
  return "name: " + name + R"(
title: My accelerator
summary: Made up for a test.
source: The data sheet
evidence:
  kind: verified
  detail: says its author
bias:
  mode: integer
  bits: )" + std::to_string(bias_bits) + R"(
  symmetric_clamp: false
  scale: product_float
  division: divide_float
  rounding: half_to_even
  overflow: saturate
accumulator:
  bits: 32
  overflow: wrap
  int16_pairs: never
requantization:
  mode: float32
  multiplier: product_then_divide
  rounding: half_to_even
  zero_point: after_rounding
  conversion: clamp_float
  activation_limit: reciprocal_half_to_even
)";
}

int OpenPid(int pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

bool WaitForEnd(int pidfd) {
  const UniqueFd owned(pidfd);
  pollfd polled{pidfd, POLLIN, 0};
  return ::poll(&polled, 1, /*milliseconds=*/30000) == 1;
}

}  // namespace qatgap::server
