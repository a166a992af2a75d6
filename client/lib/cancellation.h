// A request to stop, made once by a signal or a caller and seen by every call that waits.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <mutex>

namespace qatgap::client {

// Thread-safe. Must outlive its registrations.
class Cancellation {
 public:
  // Runs no callback after its destructor has returned.
  class Registration {
   public:
    Registration() = default;
    Registration(Cancellation* owner, std::size_t key) : owner_(owner), key_(key) {}
    Registration(Registration&& other) noexcept;
    Registration& operator=(Registration&&) = delete;
    Registration(const Registration&) = delete;
    ~Registration();

   private:
    Cancellation* owner_ = nullptr;
    std::size_t key_ = 0;
  };

  // Runs the registered callbacks; further requests are counted and run them again.
  void Request();
  bool requested() const { return requests() > 0; }
  int requests() const;

  // Runs `callback` upon a request, at once when there has been one. It must be quick and must not
  // use this object.
  [[nodiscard]] Registration Register(std::function<void()> callback);

 private:
  mutable std::mutex mutex_;
  int requests_ = 0;
  std::size_t next_key_ = 0;
  std::map<std::size_t, std::function<void()>> callbacks_;
};

}  // namespace qatgap::client
