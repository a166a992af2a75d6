#include "server/services/artifact_service.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "analyzers/status/status_macros.h"
#include "server/analysis_conversion.h"
#include "server/services/status_conversion.h"

namespace qatgap::server {
namespace {

constexpr std::size_t kMaxChunkBytes = 2U << 20;

v1::Artifact ToMessage(const Blob& blob) {
  v1::Artifact message;
  message.set_sha256(blob.sha256);
  message.set_size_bytes(blob.bytes);
  *message.mutable_create_time() = ToProto(blob.create_time);
  return message;
}

}  // namespace

grpc::Status ArtifactServiceImpl::UploadArtifact(
    grpc::ServerContext* /*context*/, grpc::ServerReader<v1::UploadArtifactRequest>* reader,
    v1::UploadArtifactResponse* response) {
  return Handle(metrics_, Rpc::kUploadArtifact, [&]() -> absl::Status {
    QATGAP_ASSIGN_OR_RETURN(const Blob blob, Receive(*reader));
    *response->mutable_artifact() = ToMessage(blob);
    return absl::OkStatus();
  });
}

grpc::Status ArtifactServiceImpl::GetArtifact(grpc::ServerContext* /*context*/,
                                              const v1::GetArtifactRequest* request,
                                              v1::GetArtifactResponse* response) {
  return Handle(metrics_, Rpc::kGetArtifact, [&]() -> absl::Status {
    QATGAP_ASSIGN_OR_RETURN(const Blob blob, blobs_.Find(request->sha256()));
    *response->mutable_artifact() = ToMessage(blob);
    return absl::OkStatus();
  });
}

absl::StatusOr<Blob> ArtifactServiceImpl::Receive(
    grpc::ServerReader<v1::UploadArtifactRequest>& reader) {
  v1::UploadArtifactRequest message;
  if (!reader.Read(&message) || !message.has_header()) {
    return absl::InvalidArgumentError("header: must come first");
  }
  absl::StatusOr<std::unique_ptr<BlobWriter>> writer =
      blobs_.Create(message.header().sha256(), message.header().size_bytes());
  if (!writer.ok()) {
    return absl::Status(writer.status().code(),
                        absl::StrCat("header.", std::string(writer.status().message())));
  }
  while (reader.Read(&message)) {
    if (message.has_header()) return absl::InvalidArgumentError("header: came twice");
    if (!message.has_chunk()) return absl::InvalidArgumentError("part: is required");
    if (message.chunk().size() > kMaxChunkBytes) {
      return absl::InvalidArgumentError(absl::StrCat("chunk: must have at most ", kMaxChunkBytes,
                                                     " bytes, has ", message.chunk().size()));
    }
    QATGAP_RETURN_IF_ERROR((*writer)->Append(message.chunk()));
    metrics_.OnBytesReceived(message.chunk().size());
  }
  return (*writer)->Commit();
}

}  // namespace qatgap::server
