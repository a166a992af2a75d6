// The blobs of a request as a runner gets them.
#pragma once

#include "absl/status/status.h"
#include "server/artifacts/blob_store.h"
#include "server/jobs/job_observer.h"
#include "server/runner_process/runner_launcher.h"
#include "server/store/analysis.h"

namespace qatgap::server {

class RunnerBlobs {
 public:
  // Both outlive it.
  RunnerBlobs(const BlobStore& blobs, JobObserver& observer) : blobs_(blobs), observer_(observer) {}

  // Opens the blob and counts its bytes; does nothing for one that is not given. NOT_FOUND.
  absl::Status Open(const ArtifactRef& ref, BlobFile& file) const;

 private:
  const BlobStore& blobs_;
  JobObserver& observer_;
};

}  // namespace qatgap::server
