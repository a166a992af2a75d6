#include "server/jobs/runner_blobs.h"

#include "analyzers/status/status_macros.h"

namespace qatgap::server {

absl::Status RunnerBlobs::Open(const ArtifactRef& ref, BlobFile& file) const {
  if (!ref.given()) return absl::OkStatus();
  file.name = ref.name;
  QATGAP_ASSIGN_OR_RETURN(const Blob blob, blobs_.Find(ref.sha256));
  QATGAP_ASSIGN_OR_RETURN(file.fd, blobs_.OpenForReading(ref.sha256));
  observer_.OnBytesToRunner(blob.bytes);
  return absl::OkStatus();
}

}  // namespace qatgap::server
