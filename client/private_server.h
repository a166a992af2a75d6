// A qatgapd for one call of the client: on a Unix socket in a fresh directory, gone afterwards.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/lib/cancellation.h"

namespace qatgap::cli {

struct PrivateServerOptions {
  // The qatgapd to run.
  std::string binary;
  // Runners it may keep busy; 0 leaves it to qatgapd.
  int runners = 0;
  std::chrono::milliseconds start_limit{20'000};
  // Between SIGTERM and SIGKILL.
  std::chrono::milliseconds stop_limit{5'000};
  // A request ends the start; a second one skips the patience of the stop. May be null.
  client::Cancellation* cancellation = nullptr;
};

// $QATGAP_QATGAPD, or qatgapd beside this program.
std::string FindQatgapd();

class PrivateServer {
 public:
  // Returns once it serves. Errors: UNAVAILABLE with the end of its log, CANCELLED.
  static absl::StatusOr<std::unique_ptr<PrivateServer>> Start(PrivateServerOptions options);
  // Ends the process and removes its directory.
  ~PrivateServer();
  PrivateServer(const PrivateServer&) = delete;
  PrivateServer& operator=(const PrivateServer&) = delete;

  const std::string& address() const { return address_; }
  // Says so, with the end of its log, when a call failed because the process has ended.
  absl::Status Explain(const absl::Status& status);

 private:
  explicit PrivateServer(PrivateServerOptions options) : options_(std::move(options)) {}
  absl::Status MakeDirectory();
  absl::Status Spawn();
  absl::Status WaitUntilServing();
  // Collects the process if it has ended; false while it runs.
  bool HasEnded();
  absl::Status Ended(const std::string& what) const;
  void Stop();

  const PrivateServerOptions options_;
  std::string directory_;
  std::string address_;
  pid_t pid_ = -1;
  int wait_status_ = 0;
};

}  // namespace qatgap::cli
