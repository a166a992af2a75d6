#include "server/jobs/runner_slots.h"

#include <algorithm>

namespace qatgap::server {

RunnerSlots::Slot RunnerSlots::Acquire(const std::function<bool()>& give_up) {
  std::unique_lock lock(mutex_);
  const std::uint64_t ticket = next_ticket_++;
  waiting_.push_back(ticket);
  bool gave_up = false;
  changed_.wait(lock, [&] {
    gave_up = give_up();
    return gave_up || (free_ > 0 && waiting_.front() == ticket);
  });
  std::erase(waiting_, ticket);
  if (!gave_up) --free_;
  // Who comes next may have been behind this one.
  changed_.notify_all();
  return gave_up ? Slot() : Slot(this);
}

void RunnerSlots::Reconsider() {
  // The lock: a waiter that has just asked must not miss the change.
  const std::scoped_lock lock(mutex_);
  changed_.notify_all();
}

void RunnerSlots::Release() {
  const std::scoped_lock lock(mutex_);
  ++free_;
  changed_.notify_all();
}

}  // namespace qatgap::server
