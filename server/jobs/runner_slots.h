// The runners that may run at one time, for everyone who starts some. First come, first served: neither a long queue of
// analyses nor a stream of short units keeps the other waiting for ever.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>

namespace qatgap::server {

// Thread-safe.
class RunnerSlots {
 public:
  // The right to run one runner, given back when it goes. A moved-from or default one is no right.
  class Slot {
   public:
    Slot() = default;
    Slot(Slot&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
    Slot& operator=(Slot&&) = delete;
    ~Slot() {
      if (owner_ != nullptr) owner_->Release();
    }
    explicit operator bool() const { return owner_ != nullptr; }

   private:
    friend class RunnerSlots;
    explicit Slot(RunnerSlots* owner) : owner_(owner) {}
    RunnerSlots* owner_ = nullptr;
  };

  // At least 1.
  explicit RunnerSlots(int count) : free_(count) {}

  // Waits for its turn. No right when `give_up` says so, which is asked at the start and upon each Reconsider.
  Slot Acquire(const std::function<bool()>& give_up = [] { return false; });
  void Reconsider();

 private:
  void Release();

  std::mutex mutex_;
  std::condition_variable changed_;
  int free_;
  std::uint64_t next_ticket_ = 0;
  std::deque<std::uint64_t> waiting_;
};

}  // namespace qatgap::server
