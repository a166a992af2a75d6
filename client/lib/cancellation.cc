#include "client/lib/cancellation.h"

#include <utility>

namespace qatgap::client {

Cancellation::Registration::Registration(Registration&& other) noexcept
    : owner_(std::exchange(other.owner_, nullptr)), key_(other.key_) {}

Cancellation::Registration::~Registration() {
  if (owner_ == nullptr) return;
  std::lock_guard lock(owner_->mutex_);
  owner_->callbacks_.erase(key_);
}

void Cancellation::Request() {
  std::lock_guard lock(mutex_);
  ++requests_;
  for (const auto& [key, callback] : callbacks_) callback();
}

int Cancellation::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

Cancellation::Registration Cancellation::Register(std::function<void()> callback) {
  std::lock_guard lock(mutex_);
  if (requests_ > 0) callback();
  const std::size_t key = next_key_++;
  callbacks_.emplace(key, std::move(callback));
  return Registration(this, key);
}

}  // namespace qatgap::client
