// A real server in this process, on a free port, with the fake runner: what the wire tests share.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "qatgap/v1/analysis.grpc.pb.h"
#include "qatgap/v1/artifact.grpc.pb.h"
#include "qatgap/v1/model.grpc.pb.h"
#include "qatgap/v1/target.grpc.pb.h"
#include "server/qatgap_server.h"
#include "tests/server/temporary_directory.h"

namespace qatgap::server {

// gRPC's status has no matcher: code and message.
MATCHER_P2(GrpcStatusIs, code, message, "") {
  *result_listener << arg.error_code() << ": " << arg.error_message();
  return arg.error_code() == code &&
         ::testing::ExplainMatchResult(message, arg.error_message(), result_listener);
}
MATCHER(GrpcOk, "") {
  *result_listener << arg.error_code() << ": " << arg.error_message();
  return arg.ok();
}

class FakeClock final : public Clock {
 public:
  explicit FakeClock(absl::Time now) : now_(now) {}
  absl::Time Now() const override { return now_; }

 private:
  absl::Time now_;
};

class ServerTest : public ::testing::Test {
 protected:
  // Tests change these before Start.
  ServerOptions options;
  absl::Duration unit_timeout = absl::Minutes(2);
  std::string runner_path;  // the fake one
  const absl::Time now = absl::FromUnixSeconds(1'700'000'000);

  void SetUp() override;
  void Start();
  void Stop();

  // Uploads and returns the digest.
  std::string Upload(const std::string& bytes);
  // Uploads the script under a name.
  v1::ArtifactRef MakeRef(const std::string& script, const std::string& name);
  // Uploads the script as the model and a set of samples.
  v1::AnalysisSpec MakeSpec(const std::string& script);
  grpc::Status Create(const v1::AnalysisSpec& spec, v1::Analysis* analysis,
                      const std::string& request_id = "");
  // Creates one that must be accepted; returns its id.
  std::string MustCreate(const v1::AnalysisSpec& spec);
  v1::Analysis Get(const std::string& id);
  // Follows the watch stream to its end; each event goes to `on_event`. Returns the last analysis.
  v1::Analysis WatchToEnd(
      const std::string& id,
      const std::function<void(const v1::WatchAnalysisResponse&)>& on_event = [](const auto&) {});
  // Waits on the watch stream until the scripts `hang` or `gate` have told their pid.
  int WaitForRunnerPid(const std::string& id);
  v1::Analysis Run(const std::string& script) { return WatchToEnd(MustCreate(MakeSpec(script))); }
  std::string Report(const std::string& id, v1::ReportFormat format, grpc::Status* status);

  TemporaryDirectory directory;
  std::unique_ptr<Server> server;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::ArtifactService::Stub> artifacts;
  std::unique_ptr<v1::AnalysisService::Stub> analyses;
  std::unique_ptr<v1::TargetService::Stub> targets;
  std::unique_ptr<v1::ModelService::Stub> models;
};

// A target of a client's own: generic-int32's arithmetic with a bias of so many bits.
std::string OwnTarget(const std::string& name, int bias_bits);

// True once the process has ended; waits for it, and does not need to be its parent. `fd` is a pidfd made while it ran.
int OpenPid(int pid);
bool WaitForEnd(int pidfd);

}  // namespace qatgap::server
