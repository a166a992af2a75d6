// The store in one SQLite file in WAL mode. Analyses are kept as bytes of the public message beside the few columns
// that are searched, so a new field needs no new schema.
#pragma once

#include <memory>
#include <string>

#include "server/store/store.h"

namespace qatgap::server {

// FAILED_PRECONDITION when the file was written by a newer version of qatgap or is no such database; INTERNAL when it
// cannot be opened.
absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path);

}  // namespace qatgap::server
