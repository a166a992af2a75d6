#include "server/services/target_service.h"

#include <vector>

#include "analyzers/numerics/target.h"
#include "analyzers/status/status_macros.h"
#include "server/own_targets.h"
#include "server/result_conversion.h"
#include "server/services/page_token.h"
#include "server/services/request_validation.h"
#include "server/services/status_conversion.h"

namespace qatgap::server {
namespace {
constexpr std::size_t kDefaultPageSize = 100;

// Runs the unit and reads the answer, a message of this contract that the runner wrote.
template <typename Response>
absl::Status Answer(SynchronousUnits& units, const ShortUnit& unit, grpc::ServerContext& context, Response& response) {
  QATGAP_ASSIGN_OR_RETURN(const ShortUnitOutput output, units.Run(unit, [&] { return context.IsCancelled(); }));
  if (response.ParseFromString(output.answer)) return absl::OkStatus();
  return absl::InternalError("the runner's answer cannot be read");
}

}  // namespace

grpc::Status TargetServiceImpl::ListTargets(grpc::ServerContext* /*context*/,
                                            const v1::ListTargetsRequest* request,
                                            v1::ListTargetsResponse* response) {
  return Handle(metrics_, Rpc::kListTargets, [&]() -> absl::Status {
    const std::vector<numerics::TargetDescription>& targets = numerics::ShippedTargets();
    QATGAP_ASSIGN_OR_RETURN(const std::size_t size,
                            ParsePageSize(request->page_size(), kDefaultPageSize));
    QATGAP_ASSIGN_OR_RETURN(const std::int64_t start,
                            ParsePageToken(request->page_token(), "targets"));
    auto next = static_cast<std::size_t>(start);
    for (; next < targets.size() && static_cast<std::size_t>(response->targets_size()) < size; ++next) {
      *response->add_targets() = ToProto(targets[next]);
    }
    if (next < targets.size()) {
      response->set_next_page_token(MakePageToken("targets", static_cast<std::int64_t>(next)));
    }
    return absl::OkStatus();
  });
}

grpc::Status TargetServiceImpl::GetTarget(grpc::ServerContext* /*context*/,
                                          const v1::GetTargetRequest* request,
                                          v1::GetTargetResponse* response) {
  return Handle(metrics_, Rpc::kGetTarget, [&]() -> absl::Status {
    QATGAP_RETURN_IF_ERROR(ValidateTarget(request->name(), "name"));
    QATGAP_ASSIGN_OR_RETURN(const numerics::TargetDescription target,
                            numerics::FindTarget(request->name()));
    *response->mutable_target() = ToProto(target);
    return absl::OkStatus();
  });
}

grpc::Status TargetServiceImpl::DescribeTarget(grpc::ServerContext* /*context*/,
                                               const v1::DescribeTargetRequest* request,
                                               v1::DescribeTargetResponse* response) {
  return Handle(metrics_, Rpc::kDescribeTarget, [&]() -> absl::Status {
    QATGAP_ASSIGN_OR_RETURN(const numerics::TargetDescription target,
                            ParseOwnTarget(request->description(), "description"));
    *response->mutable_target() = ToProto(target);
    return absl::OkStatus();
  });
}

grpc::Status TargetServiceImpl::VerifyTarget(grpc::ServerContext* context, const v1::VerifyTargetRequest* request,
                                             v1::VerifyTargetResponse* response) {
  return Handle(metrics_, Rpc::kVerifyTarget, [&]() -> absl::Status {
    QATGAP_ASSIGN_OR_RETURN(const ShortUnit unit, ValidateUnit(*request));
    return Answer(units_, unit, *context, *response);
  });
}

grpc::Status TargetServiceImpl::IdentifyTarget(grpc::ServerContext* context, const v1::IdentifyTargetRequest* request,
                                               v1::IdentifyTargetResponse* response) {
  return Handle(metrics_, Rpc::kIdentifyTarget, [&]() -> absl::Status {
    QATGAP_ASSIGN_OR_RETURN(const ShortUnit unit, ValidateUnit(*request));
    return Answer(units_, unit, *context, *response);
  });
}

}  // namespace qatgap::server
