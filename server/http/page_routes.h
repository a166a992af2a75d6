// The web page and the JSON that it reads: which path answers what. docs/web.md lists the paths.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/http/http_message.h"
#include "server/jobs/job_manager.h"
#include "server/jobs/result_reader.h"

namespace qatgap::server {

// Thread-safe. Only reads.
class PageRoutes {
 public:
  PageRoutes(const JobManager& jobs, ResultReader& results) : jobs_(jobs), results_(results) {}

  HttpAnswer Answer(const HttpRequest& request);

 private:
  using Parts = std::vector<std::string>;  // of a path below api/v1

  absl::StatusOr<HttpAnswer> Data(const Parts& parts, const HttpRequest& request);
  absl::StatusOr<HttpAnswer> OfAnalysis(const Parts& parts, const HttpRequest& request);
  absl::StatusOr<std::string> Analyses(const HttpRequest& request) const;
  absl::StatusOr<std::string> OneAnalysis(const std::string& id);
  absl::StatusOr<std::string> Layers(const report::IndexedReport& report, const std::string& id, const HttpRequest& request);
  absl::StatusOr<std::string> Compare(const HttpRequest& request);
  absl::StatusOr<std::string> Tracks() const;
  absl::StatusOr<std::string> Track(const std::string& name, const HttpRequest& request) const;
  absl::StatusOr<HttpAnswer> Download(const std::string& id, const HttpRequest& request);

  const JobManager& jobs_;
  ResultReader& results_;
  std::mutex rendering_;  // a report of a large model takes much memory while it is written: one at a time
};

}  // namespace qatgap::server
