// The calls that wait for a unit of work.
#include "client/lib/client.h"
#include "client/lib/client_impl.h"

namespace qatgap::client {

absl::StatusOr<v1::Target> Client::DescribeTarget(const std::string& description) {
  auto response = impl_->Unary<v1::DescribeTargetResponse>([&](auto* context, auto* answer) {
    v1::DescribeTargetRequest request;
    request.set_description(description);
    return impl_->targets->DescribeTarget(context, request, answer);
  });
  if (!response.ok()) return response.status();
  return std::move(*response->mutable_target());
}

absl::StatusOr<v1::VerifyTargetResponse> Client::VerifyTarget(const v1::VerifyTargetRequest& request) {
  return impl_->LongUnary<v1::VerifyTargetResponse>([&](auto* context, auto* answer) {
    return impl_->targets->VerifyTarget(context, request, answer);
  });
}

absl::StatusOr<v1::IdentifyTargetResponse> Client::IdentifyTarget(const v1::IdentifyTargetRequest& request) {
  return impl_->LongUnary<v1::IdentifyTargetResponse>([&](auto* context, auto* answer) {
    return impl_->targets->IdentifyTarget(context, request, answer);
  });
}

absl::StatusOr<v1::InspectModelResponse> Client::InspectModel(const v1::InspectModelRequest& request) {
  return impl_->LongUnary<v1::InspectModelResponse>([&](auto* context, auto* answer) {
    return impl_->models->InspectModel(context, request, answer);
  });
}

absl::Status Client::CreateHandoff(const v1::CreateHandoffRequest& request,
                                   const std::function<absl::Status(std::string_view)>& sink) {
  return impl_->Download<v1::CreateHandoffResponse>(
      [&](grpc::ClientContext* context) { return impl_->models->CreateHandoff(context, request); }, sink);
}

}  // namespace qatgap::client
