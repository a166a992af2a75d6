// The qatgap services in memory, scripted by a test, on a Unix socket of their own.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "grpcpp/grpcpp.h"
#include "qatgap/v1/analysis.grpc.pb.h"
#include "qatgap/v1/artifact.grpc.pb.h"
#include "qatgap/v1/model.grpc.pb.h"
#include "qatgap/v1/target.grpc.pb.h"

namespace qatgap::testing {

// What a watched analysis does.
enum class Ending { kSucceed, kFail, kHangUntilCancelled, kBreakOnceThenSucceed };

// The layers, verdicts, targets and reports it answers with are fixed; see the source.
class FakeService {
 public:
  // Listens at `address`, or at a Unix socket in a fresh directory when empty.
  explicit FakeService(std::string address = "");
  ~FakeService();

  const std::string& address() const { return address_; }

  // Makes the named RPC, "CreateAnalysis", answer with this status.
  void Fail(const std::string& rpc, grpc::Status status);
  // Ends the whole process when the named RPC is called.
  void set_crash_upon(std::string rpc) { crash_upon_ = std::move(rpc); }
  void set_ending(Ending ending) { ending_ = ending; }
  void set_failure(int code, std::string message);
  // Every name the service sends starts with this.
  void set_layer_name(std::string name) { layer_name_ = std::move(name); }
  // What VerifyTarget and IdentifyTarget find.
  void set_exact(bool exact) { exact_ = exact; }
  // What CreateHandoff sends and IdentifyTarget proposes; IdentifyTarget proposes nothing when empty.
  void set_archive(std::string archive) { archive_ = std::move(archive); }
  void Hold(const std::string& sha256) { artifacts_[sha256] = ""; }

  // Waits for a client that watches a hanging analysis.
  void AwaitWatcher();

  std::map<std::string, std::string> artifacts() const;
  int calls(const std::string& rpc) const;
  std::vector<v1::CreateAnalysisRequest> created() const;
  std::set<std::string> cancelled() const;
  std::set<std::string> deleted() const;
  // The last request of each kind.
  v1::VerifyTargetRequest verified() const;
  v1::InspectModelRequest inspected() const;
  v1::CreateHandoffRequest handed_off() const;

 private:
  class Artifacts;
  class Analyses;
  class Targets;
  class Models;

  std::unique_ptr<grpc::Service> MakeTargets();
  std::unique_ptr<grpc::Service> MakeModels();

  // Counts the call; the status scripted for it.
  grpc::Status Enter(const std::string& rpc);
  v1::Analysis AnalysisOf(const std::string& id, v1::AnalysisState state) const;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, grpc::Status> failures_;
  std::map<std::string, int> calls_;
  std::map<std::string, std::string> artifacts_;
  std::vector<v1::CreateAnalysisRequest> created_;
  std::set<std::string> cancelled_;
  std::set<std::string> deleted_;
  v1::VerifyTargetRequest verified_;
  v1::InspectModelRequest inspected_;
  v1::CreateHandoffRequest handed_off_;
  bool exact_ = true;
  std::string archive_;
  bool watched_ = false;
  bool broken_ = false;
  Ending ending_ = Ending::kSucceed;
  int failure_code_ = 13;
  std::string failure_message_ = "a runner crashed";
  std::string crash_upon_;
  std::string layer_name_ = "features.0.conv";

  std::string directory_;
  std::string address_;
  std::unique_ptr<Artifacts> artifact_service_;
  std::unique_ptr<Analyses> analysis_service_;
  std::unique_ptr<grpc::Service> target_service_;
  std::unique_ptr<grpc::Service> model_service_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace qatgap::testing
