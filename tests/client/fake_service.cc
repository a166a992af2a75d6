#include "tests/client/fake_service.h"

#include <openssl/sha.h>
#include <stdlib.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "tests/client/pages.h"

namespace qatgap::testing {
namespace {

std::string Sha256Of(const std::string& bytes) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
  std::string text;
  for (const unsigned char byte : digest) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", byte);
    text += two;
  }
  return text;
}

v1::LayerSummary Layer(const std::string& target, const std::string& name, std::uint64_t changed) {
  v1::LayerSummary layer;
  layer.set_target(target);
  layer.mutable_info()->set_name(name);
  layer.mutable_info()->set_kind("conv2d");
  layer.mutable_info()->mutable_output()->add_scales(0.5);
  layer.mutable_info()->mutable_output()->add_zero_points(10);
  for (int cause = 0; cause < 8; ++cause) {
    auto* difference = layer.add_causes();
    difference->set_count(1000);
    // (ref - 10)^2 summed over 1000 elements of code 20: 100 each.
    difference->set_reference_sum(20'000);
    difference->set_reference_sum_squares(400'000);
    // bias_rounding is all of it.
    if (cause == 2 || cause == 7) {
      difference->set_changed(changed);
      difference->set_sum_squares(changed);
      difference->set_cross_total(static_cast<std::int64_t>(changed));
      difference->set_max_absolute(changed > 0 ? 1 : 0);
    }
  }
  return layer;
}

}  // namespace

class FakeService::Artifacts final : public v1::ArtifactService::Service {
 public:
  explicit Artifacts(FakeService* fake) : fake_(fake) {}

  grpc::Status UploadArtifact(grpc::ServerContext*,
                              grpc::ServerReader<v1::UploadArtifactRequest>* reader,
                              v1::UploadArtifactResponse*) override {
    if (grpc::Status status = fake_->Enter("UploadArtifact"); !status.ok()) return status;
    v1::UploadArtifactRequest request;
    reader->Read(&request);
    const v1::ArtifactHeader header = request.header();
    std::string bytes;
    while (reader->Read(&request)) {
      if (request.chunk().size() > (2U << 20)) {
        return {grpc::StatusCode::INVALID_ARGUMENT, "chunk too large"};
      }
      bytes += request.chunk();
    }
    if (bytes.size() != header.size_bytes() || Sha256Of(bytes) != header.sha256()) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "the bytes are not those announced"};
    }
    std::lock_guard lock(fake_->mutex_);
    fake_->artifacts_[header.sha256()] = bytes;
    return grpc::Status::OK;
  }

  grpc::Status GetArtifact(grpc::ServerContext*, const v1::GetArtifactRequest* request,
                           v1::GetArtifactResponse*) override {
    if (grpc::Status status = fake_->Enter("GetArtifact"); !status.ok()) return status;
    std::lock_guard lock(fake_->mutex_);
    if (fake_->artifacts_.count(request->sha256()) > 0) return grpc::Status::OK;
    return {grpc::StatusCode::NOT_FOUND, "no such artifact"};
  }

 private:
  FakeService* fake_;
};

class FakeService::Analyses final : public v1::AnalysisService::Service {
 public:
  explicit Analyses(FakeService* fake) : fake_(fake) {}

  grpc::Status CreateAnalysis(grpc::ServerContext*, const v1::CreateAnalysisRequest* request,
                              v1::CreateAnalysisResponse* response) override {
    if (grpc::Status status = fake_->Enter("CreateAnalysis"); !status.ok()) return status;
    std::lock_guard lock(fake_->mutex_);
    fake_->created_.push_back(*request);
    *response->mutable_analysis() = fake_->AnalysisOf("a1", v1::ANALYSIS_STATE_QUEUED);
    return grpc::Status::OK;
  }

  grpc::Status GetAnalysis(grpc::ServerContext*, const v1::GetAnalysisRequest* request,
                           v1::GetAnalysisResponse* response) override {
    if (grpc::Status status = fake_->Enter("GetAnalysis"); !status.ok()) return status;
    std::lock_guard lock(fake_->mutex_);
    const bool running = request->id() == "running";
    *response->mutable_analysis() = fake_->AnalysisOf(
        request->id(), running ? v1::ANALYSIS_STATE_RUNNING : v1::ANALYSIS_STATE_SUCCEEDED);
    return grpc::Status::OK;
  }

  grpc::Status ListAnalyses(grpc::ServerContext*, const v1::ListAnalysesRequest* request,
                            v1::ListAnalysesResponse* response) override {
    if (grpc::Status status = fake_->Enter("ListAnalyses"); !status.ok()) return status;
    std::lock_guard lock(fake_->mutex_);
    std::vector<v1::Analysis> analyses;
    for (const char* id : {"a5", "a4", "a3", "a2", "a1"}) {
      analyses.push_back(fake_->AnalysisOf(id, v1::ANALYSIS_STATE_SUCCEEDED));
    }
    response->set_next_page_token(
        FillPage(analyses, request->page_token(), [&] { return response->add_analyses(); }));
    return grpc::Status::OK;
  }

  grpc::Status WatchAnalysis(grpc::ServerContext* context, const v1::WatchAnalysisRequest* request,
                             grpc::ServerWriter<v1::WatchAnalysisResponse>* writer) override {
    if (grpc::Status status = fake_->Enter("WatchAnalysis"); !status.ok()) return status;
    std::unique_lock lock(fake_->mutex_);
    const auto send = [&](v1::AnalysisState state) {
      v1::WatchAnalysisResponse event;
      *event.mutable_analysis() = fake_->AnalysisOf(request->id(), state);
      writer->Write(event);
    };
    send(v1::ANALYSIS_STATE_QUEUED);
    send(v1::ANALYSIS_STATE_RUNNING);
    if (fake_->ending_ == Ending::kBreakOnceThenSucceed && !fake_->broken_) {
      fake_->broken_ = true;
      return {grpc::StatusCode::UNAVAILABLE, "restarting"};
    }
    if (fake_->ending_ == Ending::kHangUntilCancelled) {
      fake_->watched_ = true;
      fake_->changed_.notify_all();
      while (!context->IsCancelled() && fake_->cancelled_.count(request->id()) == 0) {
        fake_->changed_.wait_for(lock, std::chrono::milliseconds(10));
      }
      send(v1::ANALYSIS_STATE_CANCELLED);
      return grpc::Status::OK;
    }
    for (const std::uint64_t done : {1U, 50U, 51U, 52U, 100U}) {
      v1::WatchAnalysisResponse event;
      event.mutable_progress()->set_samples_done(done);
      event.mutable_progress()->set_samples_total(100);
      writer->Write(event);
    }
    send(fake_->ending_ == Ending::kFail ? v1::ANALYSIS_STATE_FAILED
                                         : v1::ANALYSIS_STATE_SUCCEEDED);
    return grpc::Status::OK;
  }

  grpc::Status CancelAnalysis(grpc::ServerContext*, const v1::CancelAnalysisRequest* request,
                              v1::CancelAnalysisResponse* response) override {
    if (grpc::Status status = fake_->Enter("CancelAnalysis"); !status.ok()) return status;
    std::lock_guard lock(fake_->mutex_);
    fake_->cancelled_.insert(request->id());
    fake_->changed_.notify_all();
    *response->mutable_analysis() = fake_->AnalysisOf(request->id(), v1::ANALYSIS_STATE_CANCELLED);
    return grpc::Status::OK;
  }

  grpc::Status DeleteAnalysis(grpc::ServerContext*, const v1::DeleteAnalysisRequest* request,
                              v1::DeleteAnalysisResponse*) override {
    if (grpc::Status status = fake_->Enter("DeleteAnalysis"); !status.ok()) return status;
    std::lock_guard lock(fake_->mutex_);
    fake_->deleted_.insert(request->id());
    return grpc::Status::OK;
  }

  grpc::Status ListLayerResults(grpc::ServerContext*, const v1::ListLayerResultsRequest* request,
                                v1::ListLayerResultsResponse* response) override {
    if (grpc::Status status = fake_->Enter("ListLayerResults"); !status.ok()) return status;
    std::lock_guard lock(fake_->mutex_);
    const std::string& target = request->target();
    const std::vector<v1::LayerSummary> layers = {Layer(target, fake_->layer_name_, 10),
                                                  Layer(target, "features.1.conv", 0),
                                                  Layer(target, "classifier", 1000)};
    response->set_next_page_token(
        FillPage(layers, request->page_token(), [&] { return response->add_layers(); }));
    return grpc::Status::OK;
  }

  grpc::Status GetReport(grpc::ServerContext*, const v1::GetReportRequest* request,
                         grpc::ServerWriter<v1::GetReportResponse>* writer) override {
    if (grpc::Status status = fake_->Enter("GetReport"); !status.ok()) return status;
    for (const std::string& part : {std::string("report "), std::to_string(request->format())}) {
      v1::GetReportResponse response;
      response.set_chunk(part);
      writer->Write(response);
    }
    return grpc::Status::OK;
  }

 private:
  FakeService* fake_;
};

FakeService::FakeService(std::string address) : address_(std::move(address)) {
  if (address_.empty()) {
    std::string pattern = "/tmp/qatgap-fake.XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    directory_ = pattern;
    address_ = "unix:" + directory_ + "/s";
  }
  artifact_service_ = std::make_unique<Artifacts>(this);
  analysis_service_ = std::make_unique<Analyses>(this);
  target_service_ = MakeTargets();
  model_service_ = MakeModels();
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
  builder.RegisterService(artifact_service_.get());
  builder.RegisterService(analysis_service_.get());
  builder.RegisterService(target_service_.get());
  builder.RegisterService(model_service_.get());
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) std::abort();
}

FakeService::~FakeService() {
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  std::error_code ignored;
  if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
}

void FakeService::Fail(const std::string& rpc, grpc::Status status) {
  std::lock_guard lock(mutex_);
  failures_[rpc] = std::move(status);
}

void FakeService::set_failure(int code, std::string message) {
  ending_ = Ending::kFail;
  failure_code_ = code;
  failure_message_ = std::move(message);
}

void FakeService::AwaitWatcher() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return watched_; });
}

std::map<std::string, std::string> FakeService::artifacts() const {
  std::lock_guard lock(mutex_);
  return artifacts_;
}

int FakeService::calls(const std::string& rpc) const {
  std::lock_guard lock(mutex_);
  const auto found = calls_.find(rpc);
  return found == calls_.end() ? 0 : found->second;
}

std::vector<v1::CreateAnalysisRequest> FakeService::created() const {
  std::lock_guard lock(mutex_);
  return created_;
}

std::set<std::string> FakeService::cancelled() const {
  std::lock_guard lock(mutex_);
  return cancelled_;
}

std::set<std::string> FakeService::deleted() const {
  std::lock_guard lock(mutex_);
  return deleted_;
}

grpc::Status FakeService::Enter(const std::string& rpc) {
  std::lock_guard lock(mutex_);
  if (rpc == crash_upon_) {
    std::fputs("out of luck\n", stderr);
    std::fflush(stderr);
    std::_Exit(70);
  }
  ++calls_[rpc];
  const auto found = failures_.find(rpc);
  return found == failures_.end() ? grpc::Status::OK : found->second;
}

v1::Analysis FakeService::AnalysisOf(const std::string& id, v1::AnalysisState state) const {
  v1::Analysis analysis;
  analysis.set_id(id);
  analysis.set_state(state);
  analysis.mutable_create_time()->set_seconds(1'700'000'000);
  analysis.mutable_spec()->mutable_qat_model()->set_name("model_qat.pt");
  analysis.mutable_spec()->add_targets("alpha");
  if (!created_.empty()) *analysis.mutable_spec() = created_.back().spec();
  if (state == v1::ANALYSIS_STATE_FAILED) {
    analysis.mutable_error()->set_code(failure_code_);
    analysis.mutable_error()->set_message(failure_message_);
  }
  if (state == v1::ANALYSIS_STATE_SUCCEEDED) {
    for (const std::string& target : analysis.spec().targets()) {
      auto* verdict = analysis.add_verdicts();
      verdict->set_target(target);
      verdict->set_headline("The quantized bias changes 3 of 10 answers.");
      verdict->add_sentences("Bias rounding explains 100 % of it.");
    }
  }
  return analysis;
}

}  // namespace qatgap::testing
