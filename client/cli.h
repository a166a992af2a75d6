// The command line without a process around it: tests run it with their own streams.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/lib/cancellation.h"
#include "client/lib/client.h"
#include "client/private_server.h"
#include "client/terminal/output.h"

namespace qatgap::cli {

inline constexpr int kExitDone = 0;
inline constexpr int kExitNotExact = 1;
inline constexpr int kExitGateFailed = 1;
inline constexpr int kExitBadInput = 2;
inline constexpr int kExitNotComparable = 3;
inline constexpr int kExitFailed = 4;
inline constexpr int kExitInterrupted = 130;

// What a command is given.
struct Environment {
  terminal::Output out;
  terminal::Output err;
  // Requested by SIGINT and SIGTERM.
  client::Cancellation* cancellation = nullptr;
  // The qatgapd of private servers.
  std::string qatgapd;
  // Set by a command that is done and compares: kExitDone, kExitNotExact, kExitGateFailed or kExitNotComparable.
  int verdict = kExitDone;
};

// The service a command talks to: the given one, or a private one that ends with the session.
class Session {
 public:
  // A private server when `address` is empty.
  static absl::StatusOr<Session> Open(Environment& environment, const std::string& address,
                                      int runners = 0);
  client::Client& client() { return *client_; }
  // Adds what is known about a private server that failed.
  absl::Status Explain(const absl::Status& status) const;

 private:
  // In this order: the client goes first.
  std::unique_ptr<PrivateServer> private_server_;
  std::unique_ptr<client::Client> client_;
};

// 0 for OK; 2 for what the caller can put right; 4 for the rest.
int ExitCodeOf(const absl::Status& status);

// "error: ...", then the detail and "remedy: ..." where known, all sanitized.
void PrintError(const terminal::Output& err, const absl::Status& status);

// Runs one command line, without the program's name. Returns the exit code.
int RunCli(const std::vector<std::string>& arguments, Environment& environment);

}  // namespace qatgap::cli
