// The fake service's targets and models.
#include "tests/client/fake_service.h"
#include "tests/client/pages.h"

namespace qatgap::testing {
namespace {

v1::Target TargetNamed(const std::string& name) {
  v1::Target target;
  target.set_name(name);
  target.set_title("Title of " + name);
  target.set_summary("A summary.");
  target.set_description("y = x\n  indented formula");
  target.set_bias_mode(v1::BIAS_MODE_INTEGER);
  target.mutable_evidence()->set_kind(v1::EVIDENCE_KIND_VERIFIED);
  target.mutable_evidence()->set_detail("12 vectors");
  return target;
}

}  // namespace

class FakeService::Targets final : public v1::TargetService::Service {
 public:
  explicit Targets(FakeService* fake) : fake_(fake) {}

  grpc::Status ListTargets(grpc::ServerContext*, const v1::ListTargetsRequest* request,
                           v1::ListTargetsResponse* response) override {
    if (grpc::Status status = fake_->Enter("ListTargets"); !status.ok()) return status;
    const std::vector<v1::Target> targets = {TargetNamed("alpha"), TargetNamed("beta"),
                                             TargetNamed("gamma")};
    response->set_next_page_token(
        FillPage(targets, request->page_token(), [&] { return response->add_targets(); }));
    return grpc::Status::OK;
  }

  grpc::Status GetTarget(grpc::ServerContext*, const v1::GetTargetRequest* request,
                         v1::GetTargetResponse* response) override {
    if (grpc::Status status = fake_->Enter("GetTarget"); !status.ok()) return status;
    if (request->name() != "alpha" && request->name() != "beta") {
      return {grpc::StatusCode::NOT_FOUND,
              "no target '" + request->name() + "'; the nearest is 'alpha'"};
    }
    *response->mutable_target() = TargetNamed(request->name());
    return grpc::Status::OK;
  }

  grpc::Status DescribeTarget(grpc::ServerContext*, const v1::DescribeTargetRequest* request,
                              v1::DescribeTargetResponse* response) override {
    if (grpc::Status status = fake_->Enter("DescribeTarget"); !status.ok()) return status;
    const std::string& text = request->description();
    if (text.rfind("name: ", 0) != 0) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "description: name: is required"};
    }
    *response->mutable_target() = TargetNamed(text.substr(6, text.find('\n') - 6));
    return grpc::Status::OK;
  }

  grpc::Status VerifyTarget(grpc::ServerContext*, const v1::VerifyTargetRequest* request,
                            v1::VerifyTargetResponse* response) override {
    if (grpc::Status status = fake_->Enter("VerifyTarget"); !status.ok()) return status;
    std::lock_guard lock(fake_->mutex_);
    fake_->verified_ = *request;
    response->set_exact(fake_->exact_);
    response->set_elements(12);
    response->set_text("12 elements\n\x1b[31mred\n");
    auto* outcome = response->add_cases();
    outcome->set_name("conv");
    outcome->set_mismatches(fake_->exact_ ? 0 : 3);
    return grpc::Status::OK;
  }

  grpc::Status IdentifyTarget(grpc::ServerContext*, const v1::IdentifyTargetRequest*,
                              v1::IdentifyTargetResponse* response) override {
    if (grpc::Status status = fake_->Enter("IdentifyTarget"); !status.ok()) return status;
    std::lock_guard lock(fake_->mutex_);
    response->set_exact(fake_->exact_);
    response->add_shipped("alpha");
    response->set_text("alpha fits");
    if (!fake_->archive_.empty()) {
      response->add_proposals()->set_folder("proposal_1");
      response->set_proposed_vectors(fake_->archive_);
    }
    return grpc::Status::OK;
  }

 private:
  FakeService* fake_;
};

class FakeService::Models final : public v1::ModelService::Service {
 public:
  explicit Models(FakeService* fake) : fake_(fake) {}

  grpc::Status InspectModel(grpc::ServerContext*, const v1::InspectModelRequest* request,
                            v1::InspectModelResponse* response) override {
    if (grpc::Status status = fake_->Enter("InspectModel"); !status.ok()) return status;
    std::lock_guard lock(fake_->mutex_);
    fake_->inspected_ = *request;
    auto* finding = response->mutable_result()->add_findings();
    finding->set_id("QG001");
    finding->set_severity(v1::SEVERITY_ERROR);
    response->set_text("1 finding\n");
    return grpc::Status::OK;
  }

  grpc::Status CreateHandoff(grpc::ServerContext*, const v1::CreateHandoffRequest* request,
                             grpc::ServerWriter<v1::CreateHandoffResponse>* writer) override {
    if (grpc::Status status = fake_->Enter("CreateHandoff"); !status.ok()) return status;
    std::lock_guard lock(fake_->mutex_);
    fake_->handed_off_ = *request;
    const std::size_t half = fake_->archive_.size() / 2;
    for (const std::string& part : {fake_->archive_.substr(0, half), fake_->archive_.substr(half)}) {
      v1::CreateHandoffResponse response;
      response.set_chunk(part);
      writer->Write(response);
    }
    return grpc::Status::OK;
  }

 private:
  FakeService* fake_;
};

std::unique_ptr<grpc::Service> FakeService::MakeTargets() { return std::make_unique<Targets>(this); }
std::unique_ptr<grpc::Service> FakeService::MakeModels() { return std::make_unique<Models>(this); }

v1::VerifyTargetRequest FakeService::verified() const {
  std::lock_guard lock(mutex_);
  return verified_;
}

v1::InspectModelRequest FakeService::inspected() const {
  std::lock_guard lock(mutex_);
  return inspected_;
}

v1::CreateHandoffRequest FakeService::handed_off() const {
  std::lock_guard lock(mutex_);
  return handed_off_;
}

}  // namespace qatgap::testing
