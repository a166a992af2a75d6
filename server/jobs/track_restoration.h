// Tells the observer of tracked results that are in the store: at the start, and when a deletion uncovers an older one.
#pragma once

#include <cstddef>
#include <string>

#include "server/jobs/job_observer.h"
#include "server/store/store.h"

namespace qatgap::server {

// The newest result of each of the `max_tracks` tracks with the newest ones. A result that cannot be read is told as a
// store error, and its track is left out.
void RestoreTracks(const Store& store, std::size_t max_tracks, JobObserver& observer);
// The newest result of one track, if there is any.
void RestoreTrack(const Store& store, const std::string& track, JobObserver& observer);

}  // namespace qatgap::server
