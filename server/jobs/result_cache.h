// Decoded results in memory: reading one from the store takes longer than answering from it.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "analyzers/report/indexed_report.h"

namespace qatgap::server {

// Thread-safe. The least recently used one goes first; the last one stays, however large it is.
class ResultCache {
 public:
  using Entry = std::shared_ptr<const report::IndexedReport>;
  using Loader = std::function<absl::StatusOr<Entry>()>;

  explicit ResultCache(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  // What `load` gave for this id before, or gives now; an error is not kept. One is loaded at a time: decoding takes
  // several times the memory of what comes out.
  absl::StatusOr<Entry> Get(const std::string& id, const Loader& load);
  std::size_t bytes() const;

 private:
  struct Item {
    std::string id;
    Entry entry;
  };
  Entry Find(const std::string& id);
  void Insert(const std::string& id, const Entry& entry);

  const std::size_t max_bytes_;
  std::mutex loading_;
  mutable std::mutex mutex_;
  std::list<Item> items_;  // the most recently used first
  std::size_t bytes_ = 0;
};

}  // namespace qatgap::server
