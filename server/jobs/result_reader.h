// Results of finished analyses, read from the store.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "analyzers/report/report.h"
#include "server/artifacts/blob_store.h"
#include "server/store/store.h"

namespace qatgap::server {

// The report of `analysis`, which has ended, around `result`.
report::Report MakeReport(const Analysis& analysis, report::AnalysisResult result,
                          const BlobStore& blobs);

// Thread-safe. Keeps the last result in memory: a client that pages through layers asks for one many times.
class ResultReader {
 public:
  ResultReader(const Store& store, const BlobStore& blobs) : store_(store), blobs_(blobs) {}

  // NOT_FOUND; FAILED_PRECONDITION when the analysis has no result.
  absl::StatusOr<std::shared_ptr<const report::AnalysisResult>> Read(const std::string& id);
  // Errors as Read.
  absl::StatusOr<report::Report> ReadReport(const std::string& id);

 private:
  const Store& store_;
  const BlobStore& blobs_;
  std::mutex mutex_;
  std::string last_id_;
  std::shared_ptr<const report::AnalysisResult> last_result_;
};

}  // namespace qatgap::server
