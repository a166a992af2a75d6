#include "server/services/model_service.h"

#include "analyzers/status/status_macros.h"
#include "server/inspection_conversion.h"
#include "server/services/chunk_writer.h"
#include "server/services/request_validation.h"
#include "server/services/status_conversion.h"

namespace qatgap::server {

grpc::Status ModelServiceImpl::InspectModel(grpc::ServerContext* context, const v1::InspectModelRequest* request,
                                            v1::InspectModelResponse* response) {
  return Handle(metrics_, Rpc::kInspectModel, [&]() -> absl::Status {
    QATGAP_ASSIGN_OR_RETURN(const ShortUnit unit, ValidateUnit(*request));
    QATGAP_ASSIGN_OR_RETURN(const ShortUnitOutput output, units_.Run(unit, [&] { return context->IsCancelled(); }));
    *response = ToInspection(output.result);
    return absl::OkStatus();
  });
}

grpc::Status ModelServiceImpl::CreateHandoff(grpc::ServerContext* context, const v1::CreateHandoffRequest* request,
                                             grpc::ServerWriter<v1::CreateHandoffResponse>* writer) {
  return Handle(metrics_, Rpc::kCreateHandoff, [&]() -> absl::Status {
    QATGAP_ASSIGN_OR_RETURN(const ShortUnit unit, ValidateUnit(*request));
    QATGAP_ASSIGN_OR_RETURN(const ShortUnitOutput output, units_.Run(unit, [&] { return context->IsCancelled(); }));
    return WriteChunks(output.answer, *writer);
  });
}

}  // namespace qatgap::server
