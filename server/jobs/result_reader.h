// Results of finished analyses, read from the store.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "analyzers/report/indexed_report.h"
#include "analyzers/report/report.h"
#include "server/artifacts/blob_store.h"
#include "server/jobs/result_cache.h"
#include "server/store/store.h"

namespace qatgap::server {

// The report of `analysis`, which has ended, around `result`.
report::Report MakeReport(const Analysis& analysis, report::AnalysisResult result,
                          const BlobStore& blobs);

// Thread-safe. Keeps results in memory, up to `cache_bytes`: a client that pages through one asks for it many times.
class ResultReader {
 public:
  ResultReader(const Store& store, const BlobStore& blobs, std::size_t cache_bytes)
      : store_(store), blobs_(blobs), cache_(cache_bytes) {}

  // NOT_FOUND; FAILED_PRECONDITION when the analysis has no result.
  absl::StatusOr<std::shared_ptr<const report::IndexedReport>> ReadIndexed(const std::string& id);
  // Parts of it. Errors as ReadIndexed.
  absl::StatusOr<std::shared_ptr<const report::AnalysisResult>> Read(const std::string& id);
  absl::StatusOr<std::shared_ptr<const report::Report>> ReadReport(const std::string& id);

 private:
  const Store& store_;
  const BlobStore& blobs_;
  ResultCache cache_;
};

}  // namespace qatgap::server
