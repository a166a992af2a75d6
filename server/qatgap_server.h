// The whole server as one object: its parts, its ports, its end.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/clock/clock.h"
#include "server/metrics/track_limits.h"
#include "server/runner_process/runner_launcher.h"

namespace qatgap::server {

struct ServerOptions {
  std::string listen = "127.0.0.1:50551";  // host:port, port 0 takes a free one; or unix:PATH
  bool insecure = false;                   // allows an address other hosts can reach, though there is no TLS
  std::string data_dir = "./qatgap-data";
  std::string metrics_listen = "127.0.0.1:9464";  // empty: no metrics endpoint
  std::string http_listen = "127.0.0.1:50552";    // of the web page; empty: none
  std::vector<std::string> http_hosts = {};       // names besides localhost and IP addresses that it may be asked by
  std::size_t result_cache_bytes = 512U << 20;    // of decoded results in memory
  int runners = 1;
  std::uint64_t max_artifact_bytes = 4ULL << 30;
  std::size_t max_queued = 100;
  TrackLimits tracks = {};
};

// Serves from Start to Stop.
class Server {
 public:
  // INVALID_ARGUMENT for a bad address, FAILED_PRECONDITION for an address that needs --insecure or data of another
  // version, UNAVAILABLE when an address cannot be bound.
  static absl::StatusOr<std::unique_ptr<Server>> Start(ServerOptions options,
                                                       std::unique_ptr<RunnerLauncher> launcher,
                                                       std::unique_ptr<Clock> clock);
  // Stops.
  ~Server();

  // What a client connects to: "127.0.0.1:50551", "unix:PATH".
  const std::string& address() const;
  // "127.0.0.1:9464"; empty without an endpoint.
  std::string metrics_address() const;
  // Of the web page: "127.0.0.1:50552"; empty without one.
  std::string http_address() const;
  // Takes no new work, ends runners, ends RPCs. Idempotent.
  void Stop();

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace qatgap::server
