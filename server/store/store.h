// Where analyses and their results are kept. SQLite is the one implementation so far; the interface asks for nothing
// that a PostgreSQL one could not do.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/analysis.h"

namespace qatgap::server {

struct ListQuery {
  std::size_t limit = 50;
  // Only analyses created before the one with this sequence number; 0 means from the newest.
  std::int64_t before_sequence = 0;
  std::optional<AnalysisState> state = {};
  std::string track = {};  // only analyses with this one, when not empty
};

struct StoredAnalysis {
  std::int64_t sequence = 0;  // grows with each insertion, at least 1, never used twice
  Analysis analysis;
};

// Thread-safe. Errors besides the named ones: INTERNAL (the database broke), RESOURCE_EXHAUSTED (the disk is full).
class Store {
 public:
  virtual ~Store() = default;

  // ALREADY_EXISTS when the id, or a request_id that is not empty, is known.
  virtual absl::Status Insert(const Analysis& analysis, const std::string& request_id) = 0;
  // Replaces all but the id. NOT_FOUND.
  virtual absl::Status Update(const Analysis& analysis) = 0;
  // Update and the result's bytes, both or neither. NOT_FOUND.
  virtual absl::Status UpdateWithResult(const Analysis& analysis, const std::string& result) = 0;
  // NOT_FOUND.
  virtual absl::StatusOr<Analysis> Get(const std::string& id) const = 0;
  // nullopt when the request is new.
  virtual absl::StatusOr<std::optional<Analysis>> FindByRequestId(
      const std::string& request_id) const = 0;
  // The bytes given to UpdateWithResult. NOT_FOUND.
  virtual absl::StatusOr<std::string> GetResult(const std::string& id) const = 0;
  // Newest first.
  virtual absl::StatusOr<std::vector<StoredAnalysis>> List(const ListQuery& query) const = 0;
  // Of each track the newest analysis that succeeded; the newest of these first, at most `limit`.
  virtual absl::StatusOr<std::vector<Analysis>> ListLatestOfTracks(std::size_t limit) const = 0;
  // Queued or running ones, oldest first.
  virtual absl::StatusOr<std::vector<Analysis>> ListUnfinished() const = 0;
  virtual absl::StatusOr<std::array<std::int64_t, kAnalysisStateCount>> CountByState() const = 0;
  // With its result. NOT_FOUND.
  virtual absl::Status Delete(const std::string& id) = 0;
};

}  // namespace qatgap::server
