// The calls of the gate.
#include "client/lib/client.h"
#include "client/lib/client_impl.h"

namespace qatgap::client {

absl::StatusOr<v1::GateSummary> Client::EvaluateGate(const v1::EvaluateGateRequest& request,
                                                     std::map<v1::GateSurface, std::string>* surfaces) {
  grpc::ClientContext context;
  const auto registration = impl_->StopUponRequest(context);
  const auto reader = impl_->gates->EvaluateGate(&context, request);
  v1::GateSummary summary;
  bool has_summary = false;
  for (v1::EvaluateGateResponse response; reader->Read(&response);) {
    if (response.has_summary()) {
      summary = std::move(*response.mutable_summary());
      has_summary = true;
    } else if (response.has_chunk()) {
      (*surfaces)[response.chunk().surface()] += response.chunk().chunk();
    }
  }
  if (absl::Status finished = impl_->Explain(reader->Finish()); !finished.ok()) return finished;
  if (!has_summary) return absl::InternalError("the service sent no verdict");
  return summary;
}

absl::Status Client::CompareReports(const v1::CompareReportsRequest& request,
                                    const std::function<absl::Status(std::string_view)>& sink) {
  return impl_->Download<v1::CompareReportsResponse>(
      [&](grpc::ClientContext* context) { return impl_->gates->CompareReports(context, request); }, sink);
}

absl::Status Client::CreateBaseline(const v1::CreateBaselineRequest& request,
                                    const std::function<absl::Status(std::string_view)>& sink) {
  return impl_->Download<v1::CreateBaselineResponse>(
      [&](grpc::ClientContext* context) { return impl_->gates->CreateBaseline(context, request); }, sink);
}

}  // namespace qatgap::client
