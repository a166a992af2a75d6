// qatgap.v1.ArtifactService over gRPC.
#pragma once

#include "qatgap/v1/artifact.grpc.pb.h"
#include "server/artifacts/blob_store.h"
#include "server/metrics/server_metrics.h"

namespace qatgap::server {

class ArtifactServiceImpl final : public v1::ArtifactService::Service {
 public:
  ArtifactServiceImpl(const BlobStore& blobs, ServerMetrics& metrics)
      : blobs_(blobs), metrics_(metrics) {}

  grpc::Status UploadArtifact(grpc::ServerContext* context,
                              grpc::ServerReader<v1::UploadArtifactRequest>* reader,
                              v1::UploadArtifactResponse* response) override;
  grpc::Status GetArtifact(grpc::ServerContext* context, const v1::GetArtifactRequest* request,
                           v1::GetArtifactResponse* response) override;

 private:
  absl::StatusOr<Blob> Receive(grpc::ServerReader<v1::UploadArtifactRequest>& reader);

  const BlobStore& blobs_;
  ServerMetrics& metrics_;
};

}  // namespace qatgap::server
