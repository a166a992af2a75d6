#include "server/jobs/result_cache.h"

#include <algorithm>

#include "analyzers/status/status_macros.h"

namespace qatgap::server {

absl::StatusOr<ResultCache::Entry> ResultCache::Get(const std::string& id, const Loader& load) {
  if (Entry found = Find(id)) return found;
  const std::scoped_lock lock(loading_);
  if (Entry found = Find(id)) return found;  // another thread loaded it meanwhile
  QATGAP_ASSIGN_OR_RETURN(Entry entry, load());
  Insert(id, entry);
  return entry;
}

std::size_t ResultCache::bytes() const {
  const std::scoped_lock lock(mutex_);
  return bytes_;
}

ResultCache::Entry ResultCache::Find(const std::string& id) {
  const std::scoped_lock lock(mutex_);
  const auto it = std::find_if(items_.begin(), items_.end(), [&](const Item& item) { return item.id == id; });
  if (it == items_.end()) return nullptr;
  items_.splice(items_.begin(), items_, it);
  return it->entry;
}

void ResultCache::Insert(const std::string& id, const Entry& entry) {
  const std::scoped_lock lock(mutex_);
  items_.push_front({.id = id, .entry = entry});
  bytes_ += entry->bytes();
  while (bytes_ > max_bytes_ && items_.size() > 1) {
    bytes_ -= items_.back().entry->bytes();
    items_.pop_back();
  }
}

}  // namespace qatgap::server
